//! The order of joins: chosen by size, and never changing an answer.

use std::fmt::Write;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{Session, SessionOptions};
use tempfile::TempDir;

async fn session() -> (TempDir, Session) {
    let folder = TempDir::new().unwrap();
    let lake = Lake::open(LakeOptions::new(folder.path().to_str().unwrap())).await.unwrap();
    let session = Session::open(lake, SessionOptions { threads: Some(2), ..SessionOptions::default() }).unwrap();
    (folder, session)
}

/// The tables of a query in the order in which its plan names them, with `(` before each join's two sides.
async fn order(session: &Session, query: &str) -> String {
    let batches = session.sql(&format!("EXPLAIN FORMAT INDENT {query}")).await.unwrap();
    let plans = batches[0].column(1).as_string::<i32>();
    let mut order = String::new();
    for line in plans.value(0).lines().map(str::trim_start) {
        if let Some(scan) = line.strip_prefix("TableScan: ") {
            let name = scan.split([' ', ',']).next().unwrap();
            write!(order, "{} ", name.rsplit('.').next().unwrap()).unwrap();
        } else if line.starts_with("Inner Join") {
            order.push('(');
        }
    }
    order.trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_relations_are_joined_before_large_ones() {
    let (_folder, session) = session().await;
    let tables = "
        CREATE TABLE sales AS SELECT value AS id, value % 1000 AS customer, value % 50 AS product
        FROM generate_series(1, 20000);
        CREATE TABLE customers AS SELECT value AS id, value % 40 AS country FROM generate_series(0, 999);
        CREATE TABLE countries AS SELECT value AS id, value % 4 AS continent FROM generate_series(0, 39);
        CREATE TABLE products AS SELECT value AS id, 'product ' || value AS name FROM generate_series(0, 49);";
    session.sql(tables).await.unwrap();
    let query = "SELECT products.name, count(*) AS n FROM sales, products, customers, countries
        WHERE sales.product = products.id AND sales.customer = customers.id AND customers.country = countries.id
          AND countries.id = 7 GROUP BY ALL";
    // Whatever the text's order: the country's customers first, then their sales, then the names.
    let chosen = order(&session, query).await;
    assert!(chosen.contains("(countries customers"), "{chosen}");
    let reversed = query.replace("sales, products, customers, countries", "countries, customers, products, sales");
    assert_eq!(order(&session, &reversed).await, chosen);
    // Two tables have no order to choose.
    let two = "SELECT 1 FROM sales JOIN customers ON sales.customer = customers.id";
    assert_eq!(order(&session, two).await, "(sales customers");
}

/// A small generator (SplitMix64): the cases are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (value ^ (value >> 31)) % bound
    }

    fn column(&mut self) -> usize {
        usize::try_from(self.below(3)).unwrap()
    }
}

type Row = [Option<i64>; 3];

/// `one.column (= or <) other.column`.
struct Condition {
    one: (usize, usize),
    other: (usize, usize),
    equal: bool,
}

struct Case {
    tables: Vec<Vec<Row>>,
    conditions: Vec<Condition>,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let count = usize::try_from(3 + random.below(3)).unwrap();
        let mut tables = Vec::new();
        for _ in 0..count {
            let (rows, values) = (1 + random.below(12), 2 + random.below(5));
            let cell =
                |random: &mut Random| (random.below(8) > 0).then(|| i64::try_from(random.below(values)).unwrap());
            tables.push((0..rows).map(|_| std::array::from_fn(|_| cell(&mut random))).collect());
        }
        let mut conditions = Vec::new();
        for table in 1..count {
            let before = usize::try_from(random.below(u64::try_from(table).unwrap())).unwrap();
            conditions.push(Condition { one: (before, random.column()), other: (table, random.column()), equal: true });
            // A second key, a cycle, or a condition of another kind.
            if random.below(2) == 0 {
                let before = usize::try_from(random.below(u64::try_from(table).unwrap())).unwrap();
                let equal = random.below(3) > 0;
                conditions.push(Condition { one: (before, random.column()), other: (table, random.column()), equal });
            }
        }
        Self { tables, conditions }
    }

    /// Nested loops over all combinations of rows: how many meet all conditions.
    fn count(&self, rows: &mut Vec<usize>) -> i64 {
        if rows.len() == self.tables.len() {
            let value = |(table, column): (usize, usize)| self.tables[table][rows[table]][column];
            let holds = |condition: &Condition| match (value(condition.one), value(condition.other)) {
                (Some(one), Some(other)) => (condition.equal && one == other) || (!condition.equal && one < other),
                _ => false,
            };
            return i64::from(self.conditions.iter().all(holds));
        }
        let mut total = 0;
        for row in 0..self.tables[rows.len()].len() {
            rows.push(row);
            total += self.count(rows);
            rows.pop();
        }
        total
    }

    fn statements(&self) -> String {
        let mut script = String::new();
        for (number, rows) in self.tables.iter().enumerate() {
            let cell = |cell: &Option<i64>| cell.map_or("NULL".to_owned(), |value| value.to_string());
            let row = |row: &Row| format!("({})", row.iter().map(cell).collect::<Vec<_>>().join(", "));
            let rows: Vec<String> = rows.iter().map(row).collect();
            let rows = rows.join(", ");
            writeln!(script, "CREATE OR REPLACE TABLE t{number} (c0 BIGINT, c1 BIGINT, c2 BIGINT);").unwrap();
            writeln!(script, "INSERT INTO t{number} VALUES {rows};").unwrap();
        }
        script
    }

    fn query(&self) -> String {
        let tables: Vec<String> = (0..self.tables.len()).map(|number| format!("t{number}")).collect();
        let condition = |condition: &Condition| {
            let (one, other) = (condition.one, condition.other);
            let operator = if condition.equal { "=" } else { "<" };
            format!("t{}.c{} {operator} t{}.c{}", one.0, one.1, other.0, other.1)
        };
        let conditions: Vec<String> = self.conditions.iter().map(condition).collect();
        format!("SELECT count(*) FROM {} WHERE {}", tables.join(", "), conditions.join(" AND "))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_gives_the_answer_of_nested_loops() {
    let (_folder, session) = session().await;
    for seed in 0..25 {
        let case = Case::new(seed);
        session.sql(&case.statements()).await.unwrap();
        let batches = session.sql(&case.query()).await.unwrap();
        let answer = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(answer, case.count(&mut Vec::new()), "seed {seed}: {}\n{}", case.query(), case.statements());
    }
}
