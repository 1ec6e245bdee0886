package pg

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestRowLogNamesTheRowAtFault(t *testing.T) {
	rows := []string{"1\tMünchen\tx\n", "2\tK\xf6ln\tx\n", "3\tÖ\t\xc3\n", "4\tx\t\\\\N\n"}
	conversion := func(code, message, where string) error {
		return &pgconn.PgError{Severity: "ERROR", Code: code, Message: message, Where: where}
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{
			"UTF8", conversion("22021", `invalid byte sequence for encoding "UTF8": 0xf6`, "COPY t, line 2"),
			`the target rejects the row (id)=(2), column city: invalid byte sequence for encoding "UTF8": 0xf6 (SQLSTATE 22021)`,
		},
		{
			"UTF8, not the first foreign field", conversion("22021", `invalid byte sequence for encoding "UTF8": 0xc3`, "COPY t, line 3"),
			`the target rejects the row (id)=(3), column the note: invalid byte sequence for encoding "UTF8": 0xc3 (SQLSTATE 22021)`,
		},
		{
			"another encoding, one foreign field", conversion("22P05", `character with byte sequence 0x81 in encoding "WIN1252" has no equivalent in encoding "UTF8"`, "COPY t, line 2"),
			`the target rejects the row (id)=(2), column city: character with byte sequence 0x81 in encoding "WIN1252" has no equivalent in encoding "UTF8" (SQLSTATE 22P05)`,
		},
		{
			"another encoding, which field is not known", conversion("22021", `invalid byte sequence for encoding "EUC_JP": 0xc3`, "COPY t, line 3"),
			`the target rejects the row (id)=(3): invalid byte sequence for encoding "EUC_JP": 0xc3 (SQLSTATE 22021)`,
		},
		{
			"the server names the column", conversion("22001", "value too long", `COPY t, line 4, column city: "x"`),
			`the target rejects the row (id)=(4), column city: value too long (SQLSTATE 22001)`,
		},
		{"a line that there is not", conversion("22001", "value too long", `COPY t, line 5`), "ERROR: value too long (SQLSTATE 22001)"},
		{"no line", conversion("23505", "duplicate", ""), "ERROR: duplicate (SQLSTATE 23505)"},
		{"not of a server", errors.New("broken pipe"), "broken pipe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := NewRowLog([]string{"id", "city", "the note"}, 1)
			for _, row := range rows {
				log.Add([]byte(row))
			}
			if got := log.Locate(test.err); got.Error() != test.want {
				t.Errorf("got  %v\nwant %s", got, test.want)
			}
		})
	}
	var none *RowLog
	none.Add(nil)
	if err := errors.New("x"); !errors.Is(none.Locate(err), err) || none.Locate(nil) != nil {
		t.Error("no log changes an error")
	}
}

func TestDescribeKeyShowsWhatIsNotUTF8(t *testing.T) {
	if got, want := DescribeKey([]string{"a", "b"}, "M\xfcller\tü�"), `(a, b)=(M\xfcller, ü�)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
