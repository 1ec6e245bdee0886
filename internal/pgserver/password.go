package pgserver

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// passwordMethod is the best that a version has.
func passwordMethod(version string) string {
	if atLeast(version, "10") {
		return "scram-sha-256"
	}
	return "md5"
}

// authenticate has pg_hba.conf ask for a password on every connection by TCP. The socket is in a directory that only the user who runs the
// server may enter.
func authenticate(file, method string) error {
	hba, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	lines := bytes.SplitAfter(hba, []byte("\n"))
	for i, line := range lines {
		if before, ok := bytes.CutSuffix(bytes.TrimRight(line, " \t\n"), []byte("trust")); ok && bytes.HasPrefix(line, []byte("host")) {
			lines[i] = append(bytes.Clone(before), method+"\n"...)
		}
	}
	return os.WriteFile(file, bytes.Join(lines, nil), 0o600)
}

// setPassword gives the superuser a random password, through the socket.
func (p *process) setPassword(ctx context.Context) (err error) {
	conn, err := pgx.Connect(ctx, p.socketDSN())
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	password := rand.Text()
	statement := "ALTER ROLE postgres PASSWORD '" + password + "'"
	if atLeast(p.install.Version, "10") {
		statement = "SET password_encryption = 'scram-sha-256'; " + statement
	}
	// Not logged, whatever the server logs: the log may be read by others.
	if err := conn.PgConn().Exec(ctx, "SET log_statement = 'none'; SET log_min_duration_statement = -1; "+statement).Close(); err != nil {
		return errors.New("setting the superuser's password: " + strings.ReplaceAll(err.Error(), password, "xxxxx"))
	}
	p.password = password
	return nil
}

func (p *process) socketDir() string { return filepath.Join(p.home, "socket") }

func (p *process) socketDSN() string {
	return fmt.Sprintf("host='%s' port=%d user=postgres dbname=postgres", p.socketDir(), p.port)
}
