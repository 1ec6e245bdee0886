package pg

import (
	"net"
	"syscall"
	"testing"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// socketOptions are what the kernel will do about a peer that is silent: keepalive (0 is off), idle, interval (s), count, user timeout (ms).
func socketOptions(t *testing.T, conn net.Conn) (options [5]int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for i, option := range [5][2]int{
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
			{syscall.IPPROTO_TCP, tcpUserTimeout},
		} {
			options[i], err = syscall.GetsockoptInt(int(fd), option[0], option[1])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func TestConnectionsNoticeALostNetwork(t *testing.T) {
	for _, test := range []struct {
		name, role string
		side       Side
		more       string // of the address
		want       [5]int
		onServer   map[string]string
	}{
		{"source", "source", Source, "", [5]int{1, 5, 1, 3, 8000}, map[string]string{"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3"}},
		{"leader", "leader", Target, "", [5]int{1, 5, 1, 3, 8000}, map[string]string{
			"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3", "tcp_user_timeout": "8000", // SHOW gives it without its unit
			"idle_session_timeout": "0", "client_connection_check_interval": "5s",
		}},
		{"writer", "apply", Target, "&options=-c%20lc_messages%3DPOSIX", [5]int{1, 5, 1, 3, 60000}, map[string]string{"lc_messages": "C", "tcp_keepalives_idle": "5", "tcp_user_timeout": "8000", "idle_session_timeout": "0"}},
		{
			"the address wins", "source", Source, "&keepalives_idle=30&keepalives_interval=7&keepalives_count=2&tcp_user_timeout=99000&tcp_keepalives_idle=40",
			[5]int{1, 30, 7, 2, 99000},
			map[string]string{"tcp_keepalives_idle": "40", "tcp_keepalives_interval": "1"},
		},
		{"by options", "source", Source, "&options=-c%20tcp_keepalives_count%3D9", [5]int{1, 5, 1, 3, 8000}, map[string]string{"tcp_keepalives_idle": "5", "tcp_keepalives_count": "9"}},
		{"switched off", "apply", Target, "&keepalives=0&tcp_user_timeout=0", [5]int{0, 7200, 75, 9, 0}, map[string]string{"tcp_keepalives_idle": "5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := map[Side]func(testing.TB) *pgserver.Server{Source: pgtest.Source, Target: pgtest.Target}[test.side](t)
			conn, err := Server{Side: test.side, DSN: server.DSN("") + test.more, Stream: "t"}.Connect(t.Context(), test.role)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			got := socketOptions(t, conn.PgConn().Conn())
			if test.want[0] == 0 {
				got[1], got[2], got[3] = test.want[1], test.want[2], test.want[3] // the system's
			}
			if got != test.want {
				t.Errorf("the socket has %v, want %v", got, test.want)
			}
			for name, want := range test.onServer {
				var value string
				if err := conn.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&value); err != nil || value != want {
					t.Errorf("%s is %q (%v) on the server, want %q", name, value, err, want)
				}
			}
		})
	}
}
