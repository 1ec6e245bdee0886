package integration

import (
	wire "encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// refuser stands before both servers and has one of the statements that pass refused by the server itself: it is replaced by a call of a
// function that does not exist, so that the session and its transaction are afterwards what such an error leaves.
type refuser struct {
	mu        sync.Mutex
	at        int    // the statement to be refused, counted from 1; 0 is none
	seen      int    // statements so far
	statement string // the one that was refused
}

// next is the refused function's name if this is the statement to be refused.
func (r *refuser) next(sql string) (name string, refused bool) {
	if unanswered.MatchString(sql) {
		return "", false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen++; r.seen != r.at {
		return "", false
	}
	r.statement = sql
	return refusedName(r.at), true
}

func refusedName(n int) string { return fmt.Sprintf("refused_%d", n) }

// unanswered are statements whose failure there is nothing to say about: they end what has failed or is over. COMMIT is left
// out: the daemon has one that it repeats without a word.
var unanswered = regexp.MustCompile(`^(ROLLBACK|COMMIT|-- ping|\s*;?\s*$)`)

func (r *refuser) arm(at int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.seen, r.statement = at, 0, ""
}

// refused is the statement that was, or "".
func (r *refuser) refused() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statement
}

// before gives an address through which statements go past the refuser.
func (r *refuser) before(t *testing.T, dsn string) (through string) {
	t.Helper()
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	server := address.Host
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		sessions.Wait()
	})
	sessions.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { r.relay(client, server) })
		}
	})
	address.Host = listener.Addr().String()
	return address.String()
}

// relay carries one session; it ends with either side.
func (r *refuser) relay(client net.Conn, server string) {
	defer func() { _ = client.Close() }()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	startup, err := pgproto3.NewBackend(client, io.Discard).ReceiveStartupMessage()
	if err != nil {
		return
	}
	packet, err := startup.Encode(nil)
	if err != nil {
		return
	}
	if _, err := upstream.Write(packet); err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, upstream)
		_ = client.Close()
	})
	r.requests(client, upstream)
	_ = upstream.Close()
	answers.Wait()
}

// requests passes on what the client sends, message by message.
func (r *refuser) requests(client io.Reader, upstream io.Writer) {
	header := make([]byte, 5)
	for {
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		body := make([]byte, wire.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		message := append(append([]byte(nil), header...), body...)
		switch header[0] {
		case 'Q':
			var query pgproto3.Query
			if query.Decode(body) == nil {
				if name, refused := r.next(query.String); refused {
					message, _ = (&pgproto3.Query{String: "SELECT " + name + "()"}).Encode(nil)
				}
			}
		case 'P':
			var parse pgproto3.Parse
			if parse.Decode(body) == nil {
				if name, refused := r.next(parse.Query); refused {
					message, _ = (&pgproto3.Parse{Name: parse.Name, Query: "SELECT " + name + "()"}).Encode(nil)
				}
			}
		}
		if _, err := upstream.Write(message); err != nil {
			return
		}
	}
}

// TestWhatAServerRefusesIsSaid has the servers refuse one statement after the other of every command, a few of them by a seed (all with
// REFUSALS=all), and wants their own words each time: whatever cannot be done for it, an operator must be able to read why.
func TestWhatAServerRefusesIsSaid(t *testing.T) {
	t.Parallel()
	all := os.Getenv("REFUSALS") == "all"
	seed := rand.Uint64N(1 << 30)
	if text := os.Getenv("REFUSALS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Note(fmt.Sprintf("refusals: REFUSALS_SEED=%d", seed))
	random := rand.New(rand.NewPCG(seed, 0))

	s := newStream(t, `CREATE TABLE a (id serial PRIMARY KEY, v text CHECK (v <> '')); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
		CREATE TABLE keyless (v text); CREATE TABLE goes (id int PRIMARY KEY); CREATE INDEX ON b (a)`)
	s.src("INSERT INTO a (v) SELECT 'v' || g FROM generate_series(1, 300) g; INSERT INTO b SELECT g, g FROM generate_series(1, 100) g; INSERT INTO keyless VALUES ('x')")
	direct, r := *s.config, &refuser{}
	through := direct
	through.Source.DSN, through.Target.DSN = r.before(t, s.sourceDSN), r.before(t, s.targetDSN)
	file := addresses(t, through.Source.DSN, through.Target.DSN, "")
	change := func() {
		s.src("UPDATE a SET v = v || 'x' WHERE id % 7 = 0; INSERT INTO b SELECT max(id) + 1, 1 FROM b; INSERT INTO keyless VALUES ('y')")
	}
	whole := func() { // every table streams, and the target has everything
		change()
		if _, err := s.replicator().CatchUp(t.Context()); err == nil {
			return
		}
		if _, err := s.replicator().Resync(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		s.catchUp()
	}
	behind := func() { whole(); change() }
	further := func(n int) int {
		if all {
			return n + 1
		}
		return n + 1 + random.IntN(4*n)
	}

	for _, c := range []struct {
		args   []string
		before func() // each time
	}{
		{[]string{"install", "--dry-run"}, func() {}},
		{[]string{"install"}, func() {}},
		{[]string{"catchup"}, change},
		{[]string{"status"}, change},
		{[]string{"verify"}, whole},
		{[]string{"catchup"}, behind},
		{[]string{"resync", "public.a"}, behind},
		{[]string{"run"}, behind},
		{[]string{"remove", "public.goes"}, func() {}},
		{[]string{"add", "public.goes"}, func() {}},
		{[]string{"uninstall", "--yes", "--force"}, change},
	} {
		for n := 1 + random.IntN(3); ; n = further(n) {
			c.before()
			if c.args[0] == "run" && n > daemonsStatements {
				break
			}
			r.arm(n)
			p := pgibex(t, nil, append(c.args, "--verbose", "-c", file)...)
			if c.args[0] == "run" {
				s.eventually("the daemon is refused a statement", 60*time.Second, func() bool { return r.refused() != "" })
				told := time.NewTimer(30 * time.Second)
				for waits := true; waits && !p.log.contains(refusedName(n)); {
					select {
					case <-time.After(20 * time.Millisecond):
					case <-told.C:
						waits = false
					}
				}
				p.kill()
			}
			if c.args[0] != "run" {
				p.code(60 * time.Second)
			}
			statement := r.refused()
			if statement == "" { // it has fewer
				break
			}
			if said := p.out.String() + p.log.String(); !strings.Contains(said, refusedName(n)) {
				t.Errorf("pgibex %s: the server refused statement %d, and its words are not told:\n%s\nbut:\n%s", strings.Join(c.args, " "), n, statement, said)
			}
		}
	}
}

// daemonsStatements are some more than a daemon needs until every table streams.
const daemonsStatements = 250
