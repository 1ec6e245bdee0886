package pg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// TouchedError means that code which a table has on the target has changed a setting of our session or transaction: what is written after it
// would be written otherwise, or not at all.
type TouchedError struct{ Settings string }

func (e *TouchedError) Error() string {
	return "code that runs on the target when its rows are written (a trigger that fires always; a function of a check, a default or an index) changes pgibex's session: " + e.Settings
}

// Untouched makes sure that a session of the target has the settings that Connect has given it. A *TouchedError names those that it has not.
func (c *Conn) Untouched(ctx context.Context) error {
	var touched string
	if err := c.QueryRow(ctx, c.touchedSQL).Scan(&touched); err != nil {
		return err
	}
	if touched != "" {
		return &TouchedError{touched}
	}
	return nil
}

// touchedSQL names the settings of a session of the target that are not as they were made. role is what the server has set for who connects;
// mostly none.
func touchedSQL(role string) string {
	expected := maps.Clone(settings)
	maps.Copy(expected, map[string]string{"session_replication_role": "replica", "row_security": "off", "transaction_read_only": "off", "role": role})
	var values []string
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		values = append(values, fmt.Sprintf("(%s, %s)", Literal(name), Literal(expected[name])))
	}
	return "SELECT coalesce(string_agg(name, ', '), '') FROM (VALUES " + strings.Join(values, ", ") + ") AS v (name, value) WHERE current_setting(name) <> value"
}
