package pg

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// TestConnectBySocket: what concerns TCP only must not hurt there.
func TestConnectBySocket(t *testing.T) {
	for side, server := range map[Side]interface {
		DSN(string) string
		DataDir() string
	}{Source: pgtest.Source(t), Target: pgtest.Target(t)} {
		if server.DataDir() == "" {
			pgtest.Skip(t, "the server's socket is not on this machine")
		}
		config, err := pgx.ParseConfig(server.DSN(""))
		if err != nil {
			t.Fatal(err)
		}
		dsn := fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", filepath.Join(filepath.Dir(server.DataDir()), "socket"), config.Port)
		conn, err := Server{Side: side, DSN: dsn, Stream: "t"}.Connect(t.Context(), leaderRole)
		if err != nil {
			t.Fatal(err)
		}
		conn.CloseNow()
	}
}

func TestConnectRefusesBadKeepalives(t *testing.T) {
	_, err := Server{Side: Source, DSN: "host=127.0.0.1 keepalives_idle=soon"}.Connect(t.Context(), "source")
	if err == nil || !strings.Contains(err.Error(), "keepalives_idle must be a whole number") || Transient(err) {
		t.Errorf("%v", err)
	}
}
