//! Test parts: the sqllogictest runner over every mode the engine has, and servers that the tests start.
