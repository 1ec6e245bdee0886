package hint

import (
	"errors"
	"fmt"
	"testing"
)

func TestOf(t *testing.T) {
	plain := errors.New("the table is locked")
	inner := With(plain, "end session %d", 7)
	for name, test := range map[string]struct {
		err        error
		text, want string
	}{
		"none":    {plain, "the table is locked", ""},
		"its own": {inner, "the table is locked", "end session 7"},
		"wrapped": {fmt.Errorf("copy a: %w", inner), "copy a: the table is locked", "end session 7"},
		"outer":   {With(inner, "wait"), "the table is locked", "wait"},
	} {
		if got := Of(test.err); got != test.want || test.err.Error() != test.text || !errors.Is(test.err, plain) {
			t.Errorf("%s: %q with hint %q", name, test.err, got)
		}
	}
}
