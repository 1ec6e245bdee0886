package pg

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A peer that is gone without a goodbye is noticed after deadAfter: by keepalives where nothing is on its way, by
// TCP_USER_TIMEOUT where something is.
const (
	keepaliveIdle     = 5 * time.Second
	keepaliveInterval = time.Second
	keepaliveCount    = 3
	deadAfter         = keepaliveIdle + keepaliveCount*keepaliveInterval
)

// slowReader is TCP_USER_TIMEOUT where rows are sent. It ends a connection also to a peer that is well but takes nothing more for
// that long (a window of zero), as one does that waits for its disk.
const slowReader = time.Minute

// userTimeout is what a connection of ours may have on its way unacknowledged. Rows are sent to the target only.
func userTimeout(side Side, role string) time.Duration {
	if side == Target && role != leaderRole {
		return slowReader
	}
	return deadAfter
}

// dialer makes connections that notice a lost network, unless the address says otherwise. It takes libpq's keywords for that
// out of params: the server knows none of them, or another thing by that name.
func dialer(params map[string]string, timeout time.Duration) (pgconn.DialFunc, error) {
	enabled, idle, interval, count, user := 1, int(keepaliveIdle.Seconds()), int(keepaliveInterval.Seconds()), keepaliveCount, int(timeout.Milliseconds())
	for name, n := range map[string]*int{
		"keepalives": &enabled, "keepalives_idle": &idle, "keepalives_interval": &interval, "keepalives_count": &count, "tcp_user_timeout": &user,
	} {
		value, given := params[name]
		if !given {
			continue
		}
		delete(params, name)
		var err error
		if *n, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("%s must be a whole number, not %q", name, value)
		}
	}
	d := net.Dialer{KeepAlive: -1} // off
	if enabled != 0 {
		d.KeepAliveConfig = net.KeepAliveConfig{
			Enable: true, Idle: systems(idle, time.Second), Interval: systems(interval, time.Second), Count: int(systems(count, 1)),
		}
	}
	d.Control = func(network, _ string, c syscall.RawConn) (err error) {
		if !strings.HasPrefix(network, "tcp") || user <= 0 {
			return nil
		}
		if controlErr := c.Control(func(fd uintptr) { err = setUserTimeout(fd, user) }); controlErr != nil {
			return controlErr
		}
		return err
	}
	return d.DialContext, nil
}

// systems: zero and less mean the system's default in libpq, less than zero in net.KeepAliveConfig.
func systems(n int, unit time.Duration) time.Duration {
	if n <= 0 {
		return -1
	}
	return time.Duration(n) * unit
}
