// Package config reads the configuration of pgibex: defaults, then the YAML file, then the environment.
// It is strict (an unknown key is an error, not a surprise at three in the morning) and it keeps passwords out of
// everything that can be printed. It must not connect to a database: whether a table or a host exists is
// for others to find out.
package config

import (
	_ "embed"
	"os"
	"time"
)

// Example is the commented example file; every key is in it with its default.
//
//go:embed pgibex.example.yaml
var Example string

// Config is what an operator can choose. Default and Load make one.
type Config struct {
	Stream  string // names the schema pgibex_<stream> that keeps the state in both databases
	Source  Endpoint
	Target  Endpoint
	Tables  Tables
	Capture Capture
	Copy    Copy
	Apply   Apply
	Metrics Metrics

	// Warnings are of what is not wrong and yet not as it should be.
	Warnings []string
}

// Tables selects tables by patterns, see ParsePattern. No Include means every user table.
type Tables struct {
	Include []string
	Exclude []string
	New     string // what to do about a table that comes while the stream runs: ReportNew or AddNew
}

// What may be done about a new table.
const (
	ReportNew = "report"
	AddNew    = "add"
)

// Capture bounds what an installation does to the source.
type Capture struct {
	LockWait     time.Duration // how long an installation may wait for a lock on a user's table
	BacklogAlert Bytes         // what the changes waiting on the source may take of its disk before somebody is told; 0: whatever
	BacklogStop  Bytes         // and before they are recorded no more; 0: never
}

// Copy bounds the initial load.
type Copy struct {
	Workers   int           // parallel chunks
	ChunkSize Bytes         // heap bytes of a chunk
	ChunkTime time.Duration // the longest a chunk's transaction on the source should take
}

// Apply bounds the replay of changes.
type Apply struct {
	Workers      int           // parallel workers in catch-up
	BatchSize    Bytes         // delta bytes merged in one transaction
	PollInterval time.Duration // pause between looks at the source when nothing was found
}

// Metrics says where the daemon serves /metrics, /healthz and /readyz.
type Metrics struct {
	Listen string // host:port, see Enabled
}

// Enabled reports whether anything is to be served.
func (m Metrics) Enabled() bool { return m.Listen != "" && m.Listen != "off" }

// Schema is the schema that keeps the stream's state in both databases.
func (c *Config) Schema() string { return "pgibex_" + c.Stream }

// Default returns the configuration of an empty file: everything but the two DSNs.
func Default() *Config {
	return &Config{
		Stream:  "main",
		Tables:  Tables{New: ReportNew},
		Capture: Capture{LockWait: time.Second, BacklogAlert: 10 * GB},
		Copy:    Copy{Workers: 4, ChunkSize: 128 * MB, ChunkTime: 15 * time.Second},
		Apply:   Apply{Workers: 4, BatchSize: 16 * MB, PollInterval: 200 * time.Millisecond},
		Metrics: Metrics{Listen: "127.0.0.1:9632"},
	}
}

// Load reads the file at path over the defaults and the environment over both, and validates the result.
// An empty path means no file. The error is an *Error that lists every problem found.
func Load(path string) (*Config, error) {
	c := Default()
	report := &Error{file: path}
	if path != "" {
		root, err := readFile(path)
		if err != nil {
			return nil, err
		}
		decodeFile(c, root, report)
		c.warnOfReaders(path)
	}
	fromEnvironment := map[string]string{}
	for variable, e := range map[string]*Endpoint{sourceVariable: &c.Source, targetVariable: &c.Target} {
		if dsn := os.Getenv(variable); dsn != "" {
			e.DSN = dsn
			fromEnvironment[endpointKeys[variable]] = variable
		}
	}
	for _, p := range c.check() {
		if !report.names(p.Key) {
			p.Variable = fromEnvironment[p.Key]
			report.add(p)
		}
	}
	return c, report.orNil()
}

// Validate checks every value against its range and form; the error is an *Error that lists all that is wrong.
func (c *Config) Validate() error {
	report := &Error{problems: c.check()}
	return report.orNil()
}

func (c *Config) check() []Problem {
	var problems []Problem
	for _, s := range settings {
		if err := s.check(c); err != nil {
			problems = append(problems, Problem{Key: s.key, Text: err.Error()})
		}
	}
	if len(problems) == 0 && sameDatabase(c.Source, c.Target) {
		problems = append(problems, Problem{
			Key:  "target.dsn",
			Text: "names the same database as source.dsn (host, port and database are equal); the target must be another one",
		})
	}
	return problems
}
