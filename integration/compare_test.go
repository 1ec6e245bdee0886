package integration

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// equal fails the test unless every table of the users has the same rows on both sides, and every sequence the same value.
func (s *stream) equal() {
	s.t.Helper()
	tables := s.tables()
	if len(tables) == 0 {
		s.t.Fatal("there is no table to compare")
	}
	for _, table := range tables {
		s.equalTable(table)
	}
	if source, target := s.sequences(s.sourceDSN), s.sequences(s.targetDSN); !slices.Equal(source, target) {
		s.t.Errorf("sequences differ:\nsource %v\ntarget %v", source, target)
	}
}

// tables are the quoted names of the source's tables.
func (s *stream) tables() []string {
	return one[[]string](s, s.sourceDSN, `SELECT ARRAY(SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|pgibex_|information_schema)' ORDER BY 1)`)
}

// equalTable compares the sorted rows of one table, ONLY its own.
func (s *stream) equalTable(table string) {
	s.t.Helper()
	fields := one[[]string](s, s.sourceDSN, `SELECT ARRAY(SELECT quote_ident(attname) || ' ' || format_type(atttypid, NULL)
		FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname)`, table)
	columns := make([]string, 0, len(fields)+1)
	for _, field := range fields {
		columns = append(columns, exact(field))
	}
	list := strings.Join(append(columns, "'.'::text"), ", ")
	query := fmt.Sprintf("SELECT %s FROM ONLY %s", list, table)
	source, target := s.rows(s.sourceDSN, query), s.rows(s.targetDSN, query)
	if slices.Equal(source, target) {
		return
	}
	s.t.Errorf("%s differs: %d rows on the source, %d on the target\nonly on the source: %s\nonly on the target: %s",
		table, len(source), len(target), beyond(source, target), beyond(target, source))
}

// exact is an expression for a column, given as name and type, whose text is the same on 9.2 and 14 if and only if the value is.
func exact(field string) string {
	name, kind, _ := strings.Cut(field, " ")
	if strings.HasPrefix(name, `"`) { // a quoted name may hold spaces
		end := strings.LastIndex(field, `" `)
		name, kind = field[:end+1], field[end+2:]
	}
	send := map[string]string{
		"real": "float4send", "double precision": "float8send", "point": "point_send", "lseg": "lseg_send", "box": "box_send", "path": "path_send",
		"polygon": "poly_send", "circle": "circle_send", "line": "line_send", "real[]": "array_send", "double precision[]": "array_send", "point[]": "array_send",
	}[kind]
	if send != "" {
		return fmt.Sprintf("encode(%s(%s), 'hex')", send, name)
	}
	if kind == "character" || kind == "bpchar" {
		return fmt.Sprintf("rpad(%s::text, length(%s::text) + 1, '|') || octet_length(%s)", name, name, name)
	}
	return name + "::text"
}

// rows are those of a query, sorted: each value with its length before it, -1 for NULL.
func (s *stream) rows(dsn, query string) []string {
	s.t.Helper()
	conn := s.connect(dsn)
	defer func() { _ = conn.Close(s.t.Context()) }() // a test may compare more tables than a server takes sessions
	_, err := conn.Exec(s.t.Context(), "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 3; SET lc_monetary = 'C'; SET search_path = pg_catalog", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		s.t.Fatal(err)
	}
	result, err := conn.Query(s.t.Context(), query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		s.t.Fatalf("%v in: %.300s", err, query)
	}
	defer result.Close()
	var rows []string
	var row []byte
	for result.Next() {
		row = row[:0]
		for _, value := range result.RawValues() {
			length := len(value)
			if value == nil {
				length = -1
			}
			row = append(append(append(strconv.AppendInt(row, int64(length), 10), ':'), value...), ' ')
		}
		rows = append(rows, string(row))
	}
	if err := result.Err(); err != nil {
		s.t.Fatalf("%v in: %.300s", err, query)
	}
	slices.Sort(rows)
	return rows
}

// beyond lists the first rows of a, sorted, that b, sorted, lacks.
func beyond(a, b []string) string {
	var only []string
	for i, j := 0, 0; i < len(a) && len(only) < 5; {
		switch {
		case j == len(b) || a[i] < b[j]:
			only = append(only, fmt.Sprintf("%.200q", a[i]))
			i++
		case a[i] == b[j]:
			i, j = i+1, j+1
		default:
			j++
		}
	}
	return strings.Join(only, "\n  ")
}

func (s *stream) sequences(dsn string) []string {
	s.t.Helper()
	names := one[[]string](s, dsn, `SELECT ARRAY(SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND n.nspname !~ '^(pg_|pgibex_)' ORDER BY 1)`)
	for i, name := range names {
		names[i] += one[string](s, dsn, "SELECT ' ' || last_value || ' ' || is_called FROM "+name)
	}
	return names
}
