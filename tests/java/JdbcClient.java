import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;

/** PostgreSQL's JDBC driver against a server: java JdbcClient.java POSTGRES_PORT. */
public class JdbcClient {
    static final String FOREVER = "SELECT sum(value) FROM generate_series(1, 1000000000000)";

    static void same(Object seen, Object expected) {
        if (!expected.equals(seen)) throw new AssertionError(seen + " where " + expected + " was expected");
    }

    interface Work {
        void run() throws Exception;
    }

    static void refused(String state, Work work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            same(error.getSQLState(), state);
            return;
        }
        throw new AssertionError("not refused with " + state);
    }

    static List<String> texts(ResultSet rows, int column) throws SQLException {
        List<String> texts = new ArrayList<>();
        while (rows.next()) texts.add(rows.getString(column));
        return texts;
    }

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + arguments[0] + "/main?user=anybody";
        try (Connection connection = DriverManager.getConnection(url)) {
            values(connection);
            changes(connection);
            metadata(connection);
            limits(connection);
        }
        try (Connection connection = DriverManager.getConnection(url + "&preferQueryMode=simple");
             ResultSet rows = connection.createStatement().executeQuery("SELECT count(*) FROM rides")) {
            rows.next();
            same(rows.getInt(1), 3000);
        }
    }

    /** Values in and out; the driver turns to binary forms once a statement has run five times. */
    static void values(Connection connection) throws Exception {
        String query = "SELECT CAST(? AS INT), CAST(? AS BIGINT), CAST(? AS DOUBLE), CAST(? AS VARCHAR), CAST(? AS BOOLEAN),"
            + " CAST(? AS DATE), CAST(? AS TIMESTAMP), CAST(? AS DECIMAL(10, 2)), CAST(? AS INT)";
        Object[] values = {
            7, 1L << 40, -1.5, "it's", true, LocalDate.of(1969, 1, 2), LocalDateTime.of(2024, 1, 2, 3, 4, 5, 6000),
            new BigDecimal("-12.34"), null
        };
        try (PreparedStatement statement = connection.prepareStatement(query)) {
            for (int turn = 0; turn < 8; turn++) {
                for (int at = 0; at < values.length; at++) statement.setObject(at + 1, values[at]);
                try (ResultSet row = statement.executeQuery()) {
                    if (!row.next()) throw new AssertionError("no row");
                    for (int at = 0; at + 1 < values.length; at++) {
                        same(row.getObject(at + 1, values[at].getClass()), values[at]);
                    }
                    row.getInt(values.length);
                    same(row.wasNull(), true);
                }
            }
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT id FROM rides WHERE hour = ? AND at < ? ORDER BY id LIMIT ?")) {
            statement.setInt(1, 1);
            statement.setTimestamp(2, java.sql.Timestamp.valueOf("2025-01-01 00:00:00"));
            statement.setInt(3, 2);
            same(texts(statement.executeQuery(), 1), List.of("1", "8"));
        }
    }

    static void changes(Connection connection) throws Exception {
        Statement plain = connection.createStatement();
        plain.execute("CREATE TABLE t (a INT, b VARCHAR)");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO t VALUES (?, ?)")) {
            for (int number = 0; number < 3; number++) {
                insert.setInt(1, number);
                insert.setString(2, number == 1 ? null : "x" + number);
                insert.addBatch();
            }
            same(insert.executeBatch().length, 3);
        }
        try (PreparedStatement update = connection.prepareStatement("UPDATE t SET b = ? WHERE a = ?")) {
            update.setString(1, "y");
            update.setInt(2, 1);
            same(update.executeUpdate(), 1);
        }
        var copy = connection.unwrap(PGConnection.class).getCopyAPI();
        same(copy.copyIn("COPY t FROM STDIN (FORMAT csv)", new StringReader("5,z\n6,\n")), 2L);
        StringWriter out = new StringWriter();
        copy.copyOut("COPY (SELECT a, b FROM t ORDER BY a) TO STDOUT (FORMAT csv)", out);
        same(out.toString(), "0,x0\n1,y\n2,x2\n5,z\n6,\n");

        connection.setAutoCommit(false);
        plain.executeUpdate("DELETE FROM t WHERE a > 4");
        refused("0A000", connection::rollback);
        connection.setAutoCommit(true);
        same(texts(plain.executeQuery("SELECT count(*) FROM t"), 1), List.of("3"));
    }

    static void metadata(Connection connection) throws Exception {
        var metadata = connection.getMetaData();
        same(metadata.getDatabaseProductName(), "PostgreSQL");
        same(texts(metadata.getSchemas(), 1).contains("main"), true);
        same(texts(metadata.getTables(null, "main", "%", new String[] {"TABLE"}), 3), List.of("rides", "t"));
        same(texts(metadata.getTables(null, "main", "%", new String[] {"VIEW"}), 3), List.of("cars"));
        same(texts(metadata.getColumns(null, "main", "rides", "%"), 4), List.of("id", "hour", "distance", "vehicle", "at", "late"));
        same(texts(metadata.getColumns(null, "main", "rides", "%"), 6), List.of("int4", "int4", "float8", "text", "timestamp", "bool"));
        same(texts(metadata.getPrimaryKeys(null, "main", "rides"), 4), List.of());
        same(texts(metadata.getIndexInfo(null, "main", "rides", false, true), 6), List.of());
        same(texts(metadata.getImportedKeys(null, "main", "rides"), 4), List.of());
    }

    static void limits(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(100);
            same(texts(statement.executeQuery("SELECT id FROM rides"), 1).size(), 3000);
        }
        connection.setAutoCommit(true);
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            refused("57014", () -> statement.executeQuery(FOREVER));
            statement.setQueryTimeout(0);
            refused("42703", () -> statement.executeQuery("SELECT nothing FROM t"));
            refused("42P01", () -> statement.executeQuery("SELECT * FROM no_such"));
            refused("42601", () -> statement.executeQuery("SELEC 1"));
            statement.execute("DROP TABLE t");
        }
    }
}
