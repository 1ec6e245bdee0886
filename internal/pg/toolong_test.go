package pg

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestWhichErrorsMeanARowThatIsTooLong(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{&pgconn.PgError{Code: "XX000", Message: "invalid memory alloc request size 1258291203"}, true},
		{&pgconn.PgError{Code: "XX000", Message: "invalid memory alloc request size 18446744073709551613"}, false}, // a broken row
		{&pgconn.PgError{Code: "XX000", Message: "cache lookup failed for relation 1258291203"}, false},
		{&pgconn.PgError{Code: "53200", Message: "out of memory", Detail: "Cannot enlarge string buffer containing 629145602 bytes by 629145602 more bytes."}, true},
		{&pgconn.PgError{Code: "54000", Message: "Speicher aufgebraucht", Detail: "Kann Zeichenkettenpuffer mit 1073741000 Bytes nicht um 900 Bytes vergrößern."}, true},
		{&pgconn.PgError{Code: "53200", Message: "out of memory", Detail: "Failed on request of size 2000000000."}, false},
		{&pgconn.PgError{Code: "53200", Message: "out of memory", Detail: "Failed on request of size 1024 in memory context \"PortalContext 7\"."}, false},
		{errors.New("broken pipe"), false},
	} {
		if got := tooLong(fmt.Errorf("copy: %w", test.err)); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
	err := fmt.Errorf("copy: %w", &TooLongError{Key: "(id)=(7)", Message: "out of memory (SQLSTATE 53200)"})
	if !Rejected(err) || Transient(err) {
		t.Errorf("%v: rejected %v, transient %v", err, Rejected(err), Transient(err))
	}
}
