package pg

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs that somebody branches on.
const (
	UniqueViolation       = "23505"
	CheckViolation        = "23514"
	ExclusionViolation    = "23P01"
	LockNotAvailable      = "55P03"
	ReadOnly              = "25006"
	QueryCanceled         = "57014"
	DeadlockDetected      = "40P01"
	UndefinedTable        = "42P01"
	UndefinedSchema       = "3F000"
	UndefinedColumn       = "42703"
	InsufficientPrivilege = "42501"
	DependentObjects      = "2BP01"
	FeatureNotSupported   = "0A000"
	NotInRequiredState    = "55000"
	ValueTooLong          = "22001"
	DiskFull              = "53100"
	notInRepertoire       = "22021"
	untranslatable        = "22P05"
	invalidPassword       = "28P01"
	invalidAuthorization  = "28000"
	unknownDatabase       = "3D000"
)

// State returns the SQLSTATE of a server's error, or "" for any other error.
func State(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

// Detailed adds the detail that the server gave to its error: which key is duplicated, which row refers to nothing.
func Detailed(err error) error {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Detail != "" {
		return fmt.Errorf("%w: %s", err, pgErr.Detail)
	}
	return err
}

// Transient says whether the same may succeed later without anybody's help: the network, a server
// that restarts, a deadlock, a lock not had, no room on disk or in memory. Everything else needs an operator.
func Transient(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if isPooler(err) {
		return false
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return !raised(pgErr) && (transientState(pgErr.Code) || passing(err))
	}
	if connectErr, ok := errors.AsType[*ConnectError](err); ok {
		return connectErr.Port != 0 && (brokenOff(connectErr.Err) || !isTLS(connectErr.Err) && !isUnknownHost(connectErr.Err) && !isUnaccepted(connectErr.Err))
	}
	var netErr net.Error
	return errors.As(err, &netErr) || brokenOff(err)
}

// brokenOff says whether a connection ended in the middle of things. A proxy whose server is down accepts and closes, which
// shows as a failed TLS handshake.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EPIPE) || isTimeout(err) || isClosedConn(err)
}

// passing says whether an internal error is of the moment: the statement ran into an object that somebody altered or dropped, or the
// session ended with it, as those of a server do that outlives its postmaster.
func passing(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.Code != "XX000" {
		return false
	}
	if fatal(pgErr) {
		return true
	}
	for _, begins := range []string{"cache lookup failed", "could not open relation with OID", "tuple concurrently"} {
		if strings.HasPrefix(pgErr.Message, begins) {
			return true
		}
	}
	return false
}

func transientState(code string) bool {
	switch class(code) {
	case "08", // connection exception
		"40", // serialization failure, deadlock
		"53", // disk full, out of memory, too many connections
		"58", // system error
		"72": // snapshot too old
		return true
	}
	switch code {
	case LockNotAvailable, QueryCanceled,
		"57P01", "57P02", "57P03", // shut down, crashed, starting up
		"25P03", "57P05", "25P04", // the server's idle and transaction timeouts
		"55006": // object in use
		return true
	}
	return false
}

func class(code string) string { return code[:min(2, len(code))] }

// Rejected says whether a statement on rows of one table was refused because of them, or of the table (a value, a constraint, a name, a
// type, a right, whatever a function of its checks and triggers raises): the same would be refused again, and no other table is
// concerned. That is every error of a server but those known to be the server's, the session's or a conflict's.
func Rejected(err error) bool {
	if _, ok := errors.AsType[*TooLongError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*TouchedError](err); ok {
		return true
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok || fatal(pgErr):
		return false
	case raised(pgErr):
		return true
	}
	return !transientState(pgErr.Code) && !passing(err) && !sessionState(pgErr.Code)
}

// sessionState says whether a SQLSTATE is of a server or a session as such and yet does not pass.
func sessionState(code string) bool {
	switch class(code) {
	case "0B", // a transaction that cannot begin
		"26", // a prepared statement that is not there
		"28", // a role that may not connect
		"3D", // a database that is not there
		"57", // an operator's intervention
		"F0": // the server's configuration
		return true
	}
	switch code {
	case "25001", "25P01", "25P02", // within a transaction or not, aborted
		"55P02": // a setting that cannot be changed now
		return true
	}
	return false
}

// fatal says whether the session ended with the error. Before 9.6 a server tells that in its own language only (lc_messages), in most the same.
func fatal(err *pgconn.PgError) bool {
	severity := cmp.Or(err.SeverityUnlocalized, err.Severity)
	return severity == "FATAL" || severity == "PANIC"
}

// Ended says whether the server ended the session with the error, and said so.
func Ended(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && fatal(pgErr)
}

// raised says whether a PL/pgSQL function has chosen the SQLSTATE, which then means what its author meant by it.
func raised(err *pgconn.PgError) bool { return err.Routine == "exec_stmt_raise" }

// Conflict says whether a statement on a table met others at work there: it waited too long for a lock, was the victim of a deadlock, or
// was canceled. The table can be tried again on its own; nothing is wrong with the session.
func Conflict(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || fatal(pgErr) || raised(pgErr) {
		return false
	}
	return class(pgErr.Code) == "40" || pgErr.Code == LockNotAvailable || pgErr.Code == QueryCanceled
}

// isClosedConn: pgx has no sentinel for a connection that it has given up.
func isClosedConn(err error) bool {
	text := err.Error()
	return strings.Contains(text, "conn closed") || strings.Contains(text, "use of closed network connection") || strings.Contains(text, "failed to deallocate")
}

func isTLS(err error) bool {
	text := err.Error()
	var alert tls.AlertError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &alert) || errors.As(err, &verify) || errors.As(err, &record) ||
		strings.Contains(text, "tls error") || strings.Contains(text, "tls: ") || strings.Contains(text, "x509: ") ||
		strings.Contains(text, "no encryption") || strings.Contains(text, "SSL off") || strings.Contains(text, "SSL on")
}

// isUnaccepted: the server, or who answers in its place, asks for the password in another way than require_auth allows.
func isUnaccepted(err error) bool {
	return strings.Contains(err.Error(), "authentication method requirement")
}

func isUnknownHost(err error) bool {
	dnsErr, ok := errors.AsType[*net.DNSError](err)
	return ok && dnsErr.IsNotFound
}

// errPooled means that the session is not with a backend of its own.
var errPooled = errors.New("a connection pooler answers there, not the server itself")

// isPooler: PgBouncer refuses parameters that it does not track, by a SQLSTATE that otherwise passes.
func isPooler(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return errors.Is(err, errPooled) || ok && strings.HasPrefix(pgErr.Message, "unsupported startup parameter")
}

// ConnectError says which side could not be reached, and what to do about it.
type ConnectError struct {
	Side     Side
	Host     string
	Port     uint16
	Database string
	User     string
	Err      error
}

func (e *ConnectError) Unwrap() error { return e.Err }

func (e *ConnectError) Error() string {
	if e.Port == 0 {
		return fmt.Sprintf("%s.dsn cannot be parsed; libpq forms are postgres://user@host:5432/database and host=… dbname=…", e.Side)
	}
	if strings.Contains(e.Host, "@") { // the rest of a password, which must not be shown
		return fmt.Sprintf("%s.dsn cannot be parsed: an @ in its password must be written %%40", e.Side)
	}
	what, remedy := e.explain()
	return fmt.Sprintf("%s (host %s, port %d, database %q, user %q): %s; %s", e.Side, e.Host, e.Port, e.Database, e.User, e.said(what), remedy)
}

// said adds the server's own words to ours: which of its limits, rights and rules they are about only it knows.
func (e *ConnectError) said(what string) string {
	pgErr, ok := errors.AsType[*pgconn.PgError](e.Err)
	if !ok || strings.Contains(what, pgErr.Message) {
		return what
	}
	return what + ": " + pgErr.Message
}

func (e *ConnectError) explain() (what, remedy string) {
	key := string(e.Side) + ".dsn"
	if isPooler(e.Err) {
		return errPooled.Error() + " (PgBouncer, perhaps)", "give " + key + " the address of the server: locks, settings and snapshots belong to a session of its own"
	}
	switch State(e.Err) {
	case invalidPassword:
		return "password refused", "check the password in " + key + ", ~/.pgpass or PGPASSWORD"
	case unknownDatabase:
		return "the database does not exist", "check the database name in " + key
	case "53300":
		return "it takes no more connections", "end some sessions, or raise the limit that it names: max_connections, or CONNECTION LIMIT of the database or the role"
	case "57P03":
		return "the server is not ready", "wait for it"
	case invalidAuthorization:
		return "not allowed in: " + reason(e.Err), "check the user and sslmode in " + key + ", and pg_hba.conf on the server"
	case "42704":
		return reason(e.Err), "check the parameters in " + key
	}
	switch {
	case State(e.Err) != "": // the server has answered; with sslmode=prefer a refused TLS came before, and is of no interest
	case isTLS(e.Err) && !brokenOff(e.Err):
		return "TLS was refused: " + reason(e.Err), "check sslmode and the certificates in " + key + ", and ssl and pg_hba.conf on the server"
	case isUnaccepted(e.Err):
		return "it was not given the password: " + reason(e.Err), "check require_auth in " + key + ", the method in pg_hba.conf on the server, and that it is the server"
	case isUnknownHost(e.Err):
		return "the host name is not known", "check the host in " + key
	case errors.Is(e.Err, syscall.ECONNREFUSED), errors.Is(e.Err, syscall.ENOENT):
		return "nothing listens on that port", "check the port in " + key + ", listen_addresses, and that the server runs"
	case errors.Is(e.Err, syscall.EHOSTUNREACH), errors.Is(e.Err, syscall.ENETUNREACH), errors.Is(e.Err, context.DeadlineExceeded), isTimeout(e.Err):
		return "the host cannot be reached", "check the host in " + key + ", routes and firewalls"
	}
	return reason(e.Err), "check " + key
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}

// reason is the innermost text worth reading: pgx wraps each attempt with the whole address, and joins what attempts have failed of.
func reason(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Message
	}
	reasons := slices.Compact(reasonsOf(err))
	if len(reasons) > 1 { // that of an attempt without what old servers have says nothing, where one with it came further
		reasons = slices.DeleteFunc(reasons, func(text string) bool {
			return strings.HasSuffix(text, "tls: handshake failure") || strings.HasSuffix(text, "tls: protocol version not supported")
		})
	}
	return strings.Join(reasons, "; ")
}

func reasonsOf(err error) []string {
	for {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			var reasons []string
			for _, one := range joined.Unwrap() {
				reasons = append(reasons, reasonsOf(one)...)
			}
			return reasons
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return []string{err.Error()}
		}
		if _, ok := err.(*net.OpError); ok && errors.Unwrap(inner) == nil { //nolint:errorlint // this very error, not what it wraps
			return []string{err.Error()}
		}
		err = inner
	}
}
