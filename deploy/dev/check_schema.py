#!/usr/bin/env python3
"""Holds store/src/schema.rs against a migrated database: tables, primary keys, columns, their order, types and nullability.

    check_schema.py DATABASE_URL            exits 1 with a diff when they differ
    check_schema.py --print DATABASE_URL    prints the file as the database has it

Does what `diesel print-schema` does, without building diesel's command line.
"""

import difflib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "store/src/schema.rs"

# Partitions have their parent's columns; diesel's own table is not ours.
TABLES_SQL = """
SELECT coalesce(json_agg(json_build_object('name', t.relname, 'key', k.columns, 'columns', c.columns) ORDER BY t.relname), '[]')
FROM pg_class t
LEFT JOIN LATERAL (
    SELECT json_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum)) AS columns
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = t.oid AND i.indisprimary) k ON true
LEFT JOIN LATERAL (
    SELECT json_agg(json_build_object('name', a.attname, 'nullable', NOT a.attnotnull,
        'type', coalesce(element.typname, base.typname, y.typname), 'array', element.oid IS NOT NULL,
        'length', CASE WHEN y.typname = 'varchar' AND a.atttypmod > 4 THEN a.atttypmod - 4 END) ORDER BY a.attnum) AS columns
    FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
    LEFT JOIN pg_type base ON y.typtype = 'd' AND base.oid = y.typbasetype
    LEFT JOIN pg_type element ON y.typcategory = 'A' AND element.oid = y.typelem
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) c ON true
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    AND t.relname <> '__diesel_schema_migrations'
"""

# Foreign keys of one column to a primary key, as `joinable!` wants them.
JOINS_SQL = """
SELECT coalesce(json_agg(json_build_array(child.relname, parent.relname, a.attname)
    ORDER BY child.relname, parent.relname, a.attname), '[]')
FROM pg_constraint f
JOIN pg_class child ON child.oid = f.conrelid AND NOT child.relispartition
JOIN pg_class parent ON parent.oid = f.confrelid AND NOT parent.relispartition
JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
JOIN pg_constraint p ON p.conrelid = f.confrelid AND p.contype = 'p' AND p.conkey = f.confkey
WHERE f.contype = 'f' AND cardinality(f.conkey) = 1 AND f.conrelid <> f.confrelid AND f.connamespace = 'public'::regnamespace
"""

# Diesel's other names for the same type.
ALIASES = {
    "BigInt": "Int8", "BigSerial": "Int8", "Bigint": "Int8", "Integer": "Int4", "Serial": "Int4", "SmallInt": "Int2",
    "Smallint": "Int2", "Float": "Float4", "Double": "Float8", "Binary": "Bytea", "Decimal": "Numeric", "VarChar": "Varchar",
}  # fmt: skip

KEYWORDS = set(
    "abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen if impl in let "
    "loop macro match mod move mut override priv pub ref return self static struct super trait true try type typeof unsafe unsized "
    "use virtual where while yield".split()
)


class Table(NamedTuple):
    name: str
    key: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]

    def lines(self) -> list[str]:
        head = f"{self.name} ({', '.join(self.key)})"
        return [head, *(f"    {self.name}.{column} -> {kind}" for column, kind in self.columns)]


def query(url: str, sql: str) -> list:
    command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", url, "--command", sql]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def diesel_type(column: dict) -> str:
    # PostgreSQL's one-byte type is written "char".
    name = "CChar" if column["type"] == "char" else "".join(part[:1].upper() + part[1:] for part in column["type"].split("_"))
    # PostgreSQL can't forbid a NULL among an array's elements.
    name = f"Array<Nullable<{name}>>" if column["array"] else name
    return f"Nullable<{name}>" if column["nullable"] else name


def tables_of_database(rows: list[dict]) -> list[Table]:
    return [
        Table(row["name"], tuple(row["key"] or ()), tuple((c["name"], diesel_type(c)) for c in row["columns"] or ()))
        for row in rows
    ]


def normalised(kind: str) -> str:
    """One spelling for types that are the same to diesel or to PostgreSQL."""
    names = re.sub(r"\w+::", "", re.sub(r"\s", "", kind))
    names = re.sub(r"\w+", lambda match: ALIASES.get(match[0], match[0]), names)
    return re.sub(r"Array<Nullable<(\w+)>>", r"Array<\1>", names)


def bodies(text: str) -> list[str]:
    """What stands between the braces of each `table! { … }`."""
    found = []
    for match in re.finditer(r"\btable!\s*\{", text):
        depth, position = 1, match.end()
        while depth > 0:
            depth += {"{": 1, "}": -1}.get(text[position], 0)
            position += 1
        found.append(text[match.end() : position - 1])
    return found


def table_of_body(body: str) -> Table:
    head = re.search(r"([\w.]+)\s*(?:\(([^)]*)\))?\s*\{(.*)\}", body, re.DOTALL)
    if head is None:
        raise SystemExit(f"{SCHEMA_FILE}: this table! can't be read: {body}")
    columns = []
    for attributes, name, kind in re.findall(r"((?:#\[[^\]]*\]\s*)*)(\w+)\s*->\s*([^,]+?)\s*(?:,|$)", head[3].strip()):
        renamed = re.search(r'sql_name\s*=\s*"([^"]+)"', attributes)
        columns.append((renamed[1] if renamed else name, kind))
    # Without a key in the macro diesel takes `id`.
    key = re.findall(r"\w+", head[2]) if head[2] else ["id"]
    return Table(head[1], tuple(key), tuple(columns))


def tables_of_file(text: str) -> list[Table]:
    text = re.sub(r"//[^\n]*", "", text)
    return [table_of_body(body) for body in bodies(text)]


def comparable(tables: list[Table]) -> list[str]:
    plain = (table._replace(columns=tuple((name, normalised(kind)) for name, kind in table.columns)) for table in tables)
    return [line for table in sorted(plain) for line in table.lines()]


def with_choices_of(file: list[Table], tables: list[Table]) -> list[Table]:
    """What the file decides: how a type is spelled, and the key of a table that has none (history; diesel wants one)."""
    known = {table.name: table for table in file}
    chosen = []
    for table in tables:
        here = known.get(table.name, table)
        kinds = dict(here.columns)
        columns = tuple(
            (name, kinds[name] if normalised(kinds.get(name, "")) == normalised(kind) else kind) for name, kind in table.columns
        )
        key = table.key or tuple(name for name in here.key if name in dict(columns))
        chosen.append(table._replace(key=key, columns=columns))
    return chosen


def printed(rows: list[dict], tables: list[Table], joins: list[list[str]]) -> str:
    parts = []
    for row, table in zip(rows, tables, strict=True):
        lines = [f"    {table.name} ({', '.join(table.key)}) {{"]
        for column, (name, kind) in zip(row["columns"], table.columns, strict=True):
            if column["length"]:
                lines.append(f"        #[max_length = {column['length']}]")
            if name in KEYWORDS:
                lines.append(f'        #[sql_name = "{name}"]')
                name += "_"
            lines.append(f"        {name} -> {kind},")
        parts.append("\n".join(["diesel::table! {", *lines, "    }", "}"]))
    pairs = [(child, parent) for child, parent, _ in joins]
    # Two keys between the same tables: diesel can't know which one a join means.
    unique = [join for join in joins if pairs.count((join[0], join[1])) == 1]
    parts.append("\n".join(f"diesel::joinable!({child} -> {parent} ({column}));" for child, parent, column in unique))
    names = "".join(f"    {row['name']},\n" for row in rows)
    parts.append(f"diesel::allow_tables_to_appear_in_same_query!(\n{names});")
    comments = [line for line in SCHEMA_FILE.read_text().splitlines() if line.startswith("//")]
    return "\n\n".join(["\n".join(comments), *(part for part in parts if part)])


def main(arguments: list[str]) -> int:
    url = arguments[-1]
    rows = query(url, TABLES_SQL)
    in_file = tables_of_file(SCHEMA_FILE.read_text())
    in_database = with_choices_of(in_file, tables_of_database(rows))
    if "--print" in arguments:
        print(printed(rows, in_database, query(url, JOINS_SQL)))
        return 0
    wanted, found = comparable(in_database), comparable(in_file)
    if wanted == found:
        print(f"schema.rs has the {len(rows)} tables of the database")
        return 0
    print("\n".join(difflib.unified_diff(found, wanted, "store/src/schema.rs", "the migrated database", lineterm="", n=2)))
    print("write it anew: deploy/dev/check_schema.py --print DATABASE_URL")
    return 1


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1:]))
