package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
)

const (
	sourceVariable = "PGIBEX_SOURCE_DSN"
	targetVariable = "PGIBEX_TARGET_DSN"
)

var endpointKeys = map[string]string{sourceVariable: "source.dsn", targetVariable: "target.dsn"}

// setting ties a key of the file to a field: how to read it and what it may be.
type setting struct {
	key    string
	decode func(c *Config, n ast.Node) error
	check  func(c *Config) error
}

var settings = []setting{
	{"stream", into(stream, decodeText), checkStream},
	{"source.dsn", into(sourceDSN, decodeDSN), checkDSN(sourceDSN, sourceVariable)},
	{"source.encoding", into(sourceEncoding, decodeText), checkEncoding},
	{"target.dsn", into(targetDSN, decodeDSN), checkDSN(targetDSN, targetVariable)},
	{"tables.include", into(include, decodeList), checkPatterns(include)},
	{"tables.exclude", into(exclude, decodeList), checkPatterns(exclude)},
	{"tables.new", into(newTables, decodeText), checkNew},
	{"capture.lock_wait", into(lockWait, decodeDuration), within(lockWait, 10*time.Millisecond, time.Minute, formatDuration)},
	{"capture.backlog_alert", into(backlogAlert, decodeLimit), checkLimit(backlogAlert)},
	{"capture.backlog_stop", into(backlogStop, decodeLimit), checkLimit(backlogStop)},
	{"copy.workers", into(copyWorkers, decodeInt), within(copyWorkers, 1, 64, strconv.Itoa)},
	{"copy.chunk_size", into(chunkSize, decodeBytes), within(chunkSize, 64*KB, 64*GB, Bytes.String)},
	{"copy.chunk_time", into(chunkTime, decodeDuration), within(chunkTime, 100*time.Millisecond, time.Hour, formatDuration)},
	{"apply.workers", into(applyWorkers, decodeInt), within(applyWorkers, 1, 64, strconv.Itoa)},
	{"apply.batch_size", into(batchSize, decodeBytes), within(batchSize, 64*KB, GB, Bytes.String)},
	{"apply.poll_interval", into(pollInterval, decodeDuration), within(pollInterval, 10*time.Millisecond, time.Minute, formatDuration)},
	{"metrics.listen", into(listen, decodeText), checkListen},
}

func stream(c *Config) *string              { return &c.Stream }
func sourceDSN(c *Config) *string           { return &c.Source.DSN }
func sourceEncoding(c *Config) *string      { return &c.Source.Encoding }
func targetDSN(c *Config) *string           { return &c.Target.DSN }
func include(c *Config) *[]string           { return &c.Tables.Include }
func exclude(c *Config) *[]string           { return &c.Tables.Exclude }
func newTables(c *Config) *string           { return &c.Tables.New }
func lockWait(c *Config) *time.Duration     { return &c.Capture.LockWait }
func backlogAlert(c *Config) *Bytes         { return &c.Capture.BacklogAlert }
func backlogStop(c *Config) *Bytes          { return &c.Capture.BacklogStop }
func copyWorkers(c *Config) *int            { return &c.Copy.Workers }
func chunkSize(c *Config) *Bytes            { return &c.Copy.ChunkSize }
func chunkTime(c *Config) *time.Duration    { return &c.Copy.ChunkTime }
func applyWorkers(c *Config) *int           { return &c.Apply.Workers }
func batchSize(c *Config) *Bytes            { return &c.Apply.BatchSize }
func pollInterval(c *Config) *time.Duration { return &c.Apply.PollInterval }
func listen(c *Config) *string              { return &c.Metrics.Listen }

func into[T any](field func(*Config) *T, decode func(ast.Node) (T, error)) func(*Config, ast.Node) error {
	return func(c *Config, n ast.Node) error {
		v, err := decode(n)
		if err == nil {
			*field(c) = v
		}
		return err
	}
}

func within[T cmp.Ordered](field func(*Config) *T, low, high T, format func(T) string) func(*Config) error {
	return func(c *Config) error {
		if v := *field(c); v < low || v > high {
			return fmt.Errorf("%s is out of range: at least %s, at most %s", format(v), format(low), format(high))
		}
		return nil
	}
}

var streamName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

func checkStream(c *Config) error {
	if !streamName.MatchString(c.Stream) {
		return fmt.Errorf("%s cannot name a stream: write a small letter, then up to 30 small letters, digits and underscores",
			showValue(c.Stream))
	}
	return nil
}

func checkNew(c *Config) error {
	if c.Tables.New != ReportNew && c.Tables.New != AddNew {
		return fmt.Errorf("%s is neither %s nor %s", showValue(c.Tables.New), ReportNew, AddNew)
	}
	return nil
}

var encodingName = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

// checkEncoding: which names there are is for the target to say.
func checkEncoding(c *Config) error {
	if !encodingName.MatchString(c.Source.Encoding) {
		return fmt.Errorf("%s is not the name of an encoding: write LATIN1, WIN1252 or another of PostgreSQL's", showValue(c.Source.Encoding))
	}
	return nil
}

func checkDSN(field func(*Config) *string, variable string) func(*Config) error {
	return func(c *Config) error {
		dsn := *field(c)
		if dsn == "" {
			return fmt.Errorf("not set: write it in the configuration file or set %s", variable)
		}
		_, err := ParseDSN(dsn)
		return err
	}
}

func checkPatterns(field func(*Config) *[]string) func(*Config) error {
	return func(c *Config) error {
		for _, text := range *field(c) {
			if _, err := ParsePattern(text); err != nil {
				return err
			}
		}
		return nil
	}
}

func checkListen(c *Config) error {
	if !c.Metrics.Enabled() {
		return nil
	}
	_, port, err := net.SplitHostPort(c.Metrics.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s is not an address: write host:port such as 127.0.0.1:9632, or off", showValue(c.Metrics.Listen))
	}
	return nil
}

func decodeText(n ast.Node) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	}
	return "", wrongType("text", n)
}

// decodeDSN takes no value for an empty one: the environment may hold the real one.
func decodeDSN(n ast.Node) (string, error) {
	if _, null := n.(*ast.NullNode); null {
		return "", nil
	}
	return decodeText(n)
}

func decodeList(n ast.Node) ([]string, error) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, wrongType(`a list such as ["public.*"]`, n)
	}
	var texts []string
	for _, item := range list.Values {
		if _, alias := item.(*ast.AliasNode); alias {
			return nil, errors.New("a pattern that begins with * must be in quotes")
		}
		text, err := decodeText(item)
		if err != nil {
			return nil, fmt.Errorf("in the list: %w", err)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func decodeInt(n ast.Node) (int, error) {
	number, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, wrongType("a whole number", n)
	}
	// The value is an int64 or a uint64; what fits in neither is no integer node.
	v, err := strconv.Atoi(fmt.Sprint(number.Value))
	if err != nil {
		return 0, errors.New("the number is too large")
	}
	return v, nil
}

func decodeBytes(n ast.Node) (Bytes, error) {
	if _, ok := n.(*ast.IntegerNode); ok {
		v, err := decodeInt(n)
		return Bytes(v), err
	}
	text, err := decodeText(n)
	if err != nil {
		return 0, wrongType("a size such as 128MB", n)
	}
	return ParseBytes(text)
}

// decodeLimit takes a size, or off for none.
func decodeLimit(n ast.Node) (Bytes, error) {
	if text, err := decodeText(n); err == nil && text == "off" {
		return 0, nil
	}
	return decodeBytes(n)
}

func checkLimit(field func(*Config) *Bytes) func(*Config) error {
	return func(c *Config) error {
		if v := *field(c); v != 0 && v < MB {
			return fmt.Errorf("%s is out of range: at least 1MB, or off", v)
		}
		return nil
	}
}

func decodeDuration(n ast.Node) (time.Duration, error) {
	if number, ok := n.(*ast.IntegerNode); ok {
		return 0, fmt.Errorf("%v has no unit: write a duration such as 200ms, 15s or 1min", number.Value)
	}
	text, err := decodeText(n)
	if err != nil {
		return 0, wrongType("a duration such as 15s", n)
	}
	return ParseDuration(text)
}

func wrongType(want string, n ast.Node) error {
	if _, null := n.(*ast.NullNode); null {
		return fmt.Errorf("no value: write %s, or remove the key for its default", want)
	}
	return fmt.Errorf("want %s, found %s", want, kind(n))
}

// kind names a node's type without its content, which may be a password.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode:
		return "a whole number"
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a fraction"
	case *ast.BoolNode:
		return "true or false"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return "a YAML anchor, alias or tag, which are not supported"
	}
	return "something else"
}
