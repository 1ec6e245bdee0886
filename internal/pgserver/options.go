package pgserver

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Option changes how a server is started. An address named in the environment takes none.
type Option func(*options)

type options struct {
	parent   string
	settings map[string]string
	trust    bool
}

// WithTrust has every role in without a password, from this machine only: for tests, which connect as many.
func WithTrust() Option {
	return func(o *options) { o.trust = true }
}

// anyPassword is what is said where nobody asks.
const anyPassword = "postgres"

// WithSetting sets a parameter of postgresql.conf: WithSetting("shared_buffers", "256MB").
func WithSetting(name, value string) Option {
	return func(o *options) { o.settings[name] = value }
}

// WithDurable leaves on what the tests do without, as a production server has it.
func WithDurable() Option {
	return func(o *options) { o.settings["fsync"], o.settings["full_page_writes"] = "on", "on" }
}

// WithDataDir has the data under parent instead of the directory for temporary files.
func WithDataDir(parent string) Option {
	return func(o *options) { o.parent = parent }
}

func newOptions(opts []Option) options {
	o := options{parent: os.TempDir(), settings: map[string]string{
		"fsync":                     "off",
		"full_page_writes":          "off",
		"max_connections":           "100",
		"max_prepared_transactions": "20",
	}}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// configuration renders settings as lines of postgresql.conf.
func configuration(settings map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	return b.String()
}
