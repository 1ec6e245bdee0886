package pg

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Roles whose sessions are made differently: the one that holds a stream's lock on the target, and those that read many rows there.
const (
	leaderRole = "leader"
	verifyRole = "verify"
)

// settings are the same on both sides, so that a value written as text by one is read as the same
// value by the other, and sent in the startup packet, where they win over those of role and database.
// All of them exist in 9.2.
var settings = map[string]string{
	"client_encoding":                "UTF8",
	"DateStyle":                      "ISO, MDY",
	"IntervalStyle":                  "postgres",
	"TimeZone":                       "UTC",
	"bytea_output":                   "hex",
	"extra_float_digits":             "3",
	"lc_monetary":                    "C",
	"xmloption":                      "content",
	"synchronous_commit":             "on", // what a commit allows to be purged must not be lost by a crash
	"array_nulls":                    "on",
	"default_tablespace":             "",
	"search_path":                    "pg_catalog",
	"standard_conforming_strings":    "on",
	"statement_timeout":              "0",
	"default_transaction_isolation":  "read committed",
	"default_transaction_read_only":  "off",
	"default_transaction_deferrable": "off",
	"synchronize_seqscans":           "off",
	"quote_all_identifiers":          "off", // types are compared by their names
	"constraint_exclusion":           "off", // a plan that asks the CHECKs of a table runs what its owner put there
}

// watchful settings let the server notice that we are gone, and give back locks and snapshots. Those of the address win.
var watchful = map[string]string{
	"tcp_keepalives_idle":     strconv.Itoa(int(keepaliveIdle.Seconds())),
	"tcp_keepalives_interval": strconv.Itoa(int(keepaliveInterval.Seconds())),
	"tcp_keepalives_count":    strconv.Itoa(keepaliveCount),
}

// startup puts our settings into the parameters of the startup packet.
func startup(params map[string]string) {
	for name, value := range watchful {
		if _, given := params[name]; !given && !strings.Contains(params["options"], name) {
			params[name] = value
		}
	}
	maps.Copy(params, settings)
}

// silence is how long nothing may be heard of a session that pings every second.
const silence = 7 * time.Second

// EndWhenSilent has the server end the session when nothing is heard of it for 7 s: its process was stopped, or its host is gone behind
// something that still acknowledges. Before 14 the server can not do that.
func (c *Conn) EndWhenSilent(ctx context.Context) error {
	if c.Version < 140000 {
		return nil
	}
	return c.Run(ctx, "SET idle_session_timeout = "+milliseconds(silence))
}

// clientCheck is how often a statement that runs looks whether its client is still there.
const clientCheck = 5 * time.Second

// laterSettings exist only from a version on, or up to one; a server that does not know one refuses the whole
// connection, so they are set once its version is known.
func (c *Conn) laterSettings(role, platform string) string {
	var set strings.Builder
	since := func(version int, name, value string) {
		if c.Version >= version {
			fmt.Fprintf(&set, "SET %s = '%s';", name, value)
		}
	}
	since(90300, "lock_timeout", "0")
	since(90500, "row_security", "off")
	since(90600, "idle_in_transaction_session_timeout", "0")
	since(110000, "jit", "off") // the plans we forbid count as expensive, and would have the others compiled
	since(170000, "transaction_timeout", "0")
	unread := deadAfter
	if c.Side == Source || role == verifyRole { // rows wait for the other side
		unread = slowReader
	}
	since(140000, "idle_session_timeout", "0")
	since(120000, "tcp_user_timeout", milliseconds(unread))
	if strings.Contains(platform, "linux") { // elsewhere it may be refused
		since(140000, "client_connection_check_interval", milliseconds(clientCheck))
	}
	if c.Version < 90500 && c.tls() != nil { // Go's TLS can not renegotiate, which such a server wants after 512 MB
		set.WriteString("SET ssl_renegotiation_limit = 0;")
	}
	if c.Side == Target {
		// What a superuser has set for the role (ALTER ROLE … SET) is not set again, which the role itself may not.
		set.WriteString("SELECT set_config('session_replication_role', 'replica', false) WHERE current_setting('session_replication_role') <> 'replica';")
		// Which row is at fault is read from the text of errors. Only a superuser may choose their language.
		set.WriteString("SELECT set_config('lc_messages', 'C', false) FROM pg_roles WHERE rolname = current_user AND rolsuper;")
	}
	return set.String()
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func (c *Conn) prepareSession(ctx context.Context, server Server, role string) error {
	var number, platform, as string
	var pid uint32
	if err := c.QueryRow(ctx, "SELECT current_setting('server_version_num'), version(), pg_backend_pid(), current_setting('role')").Scan(&number, &platform, &pid, &as); err != nil {
		return err
	}
	if pid != c.PgConn().PID() {
		return errPooled
	}
	version, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("server_version_num %q: %w", number, err)
	}
	c.Version, c.touchedSQL = version, touchedSQL(as)
	if err := c.agreeOnEncoding(ctx, server); err != nil {
		return err
	}
	if set := c.laterSettings(role, platform); set != "" {
		return c.Run(ctx, set)
	}
	return nil
}
