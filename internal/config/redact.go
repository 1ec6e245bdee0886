package config

import (
	"net/url"
	"strings"
)

const mask = "xxxxx"

// Redact returns the connection string with every password in it replaced by xxxxx. Where the string is so malformed
// that a password could stand anywhere, everything from the first doubt on is replaced.
func Redact(dsn string) string { return inspect(dsn).redacted }

// shape is what can be said of a connection string without trusting it.
type shape struct {
	redacted string
	secrets  []string // every form of each password that a message could quote
	problem  string   // what makes it ambiguous, and the remedy; "" when each part is certain
}

func inspect(dsn string) shape {
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(dsn, scheme); ok {
			s := inspectURL(rest)
			if s.problem != "" {
				s.redacted = mask
			}
			s.redacted = scheme + s.redacted
			return s
		}
	}
	return inspectKeywords(dsn)
}

// inspectURL follows libpq: the first @ before any / ends the user and password.
func inspectURL(rest string) shape {
	var s shape
	var b strings.Builder
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		user, password, found := strings.Cut(rest[:i], ":")
		b.WriteString(user)
		if found {
			b.WriteString(":" + mask)
			s.addSecret(password)
		}
		b.WriteByte('@')
		rest = rest[i+1:]
		if !validEscapes(user) || !validEscapes(password) {
			s.problem = "a % is not followed by two hexadecimal digits; write a percent sign as %25"
			return s
		}
	}
	// A password with a raw @, / or ? spills over to the right, and leaves an @ or a port that is no number behind.
	if strings.Contains(rest, "@") {
		s.problem = "an @ stands to the right of the host's place; write @ as %40, / as %2F and ? as %3F in a password"
		return s
	}
	address, query, hasQuery := strings.Cut(rest, "?")
	hosts, _, _ := strings.Cut(address, "/")
	if !numericPorts(hosts) {
		s.problem = "a port is not a number; write : as %3A, @ as %40 and / as %2F in a password"
		return s
	}
	b.WriteString(address)
	if hasQuery {
		b.WriteString("?" + s.redactQuery(query))
	}
	s.redacted = b.String()
	return s
}

func (s *shape) redactQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, value, found := strings.Cut(pair, "=")
		if !found && pair != "" || strings.Contains(value, "=") {
			s.problem = "write the parameters after the ? as key=value, joined by &, with & as %26 and = as %3D in a value"
			return ""
		}
		decoded, err := url.PathUnescape(key)
		if err != nil || !validEscapes(value) {
			s.problem = "a % is not followed by two hexadecimal digits; write a percent sign as %25"
			return ""
		}
		if secretKey(decoded) {
			s.addSecret(value)
			pairs[i] = key + "=" + mask
		}
	}
	return strings.Join(pairs, "&")
}

func (s *shape) addSecret(raw string) {
	s.secrets = append(s.secrets, raw)
	if decoded, err := url.PathUnescape(raw); err == nil {
		s.secrets = append(s.secrets, decoded)
	}
}

func validEscapes(s string) bool {
	_, err := url.PathUnescape(s)
	return err == nil
}

// numericPorts reports whether each of host:port,host:port has a number or nothing for a port.
func numericPorts(hosts string) bool {
	for host := range strings.SplitSeq(hosts, ",") {
		if strings.HasPrefix(host, "[") {
			_, host, _ = strings.Cut(host, "]")
		}
		_, port, _ := strings.Cut(host, ":")
		if strings.Trim(port, "0123456789") != "" {
			return false
		}
	}
	return true
}

// secretKey is wider than libpq's password and sslpassword: a misspelled keyword has a password behind it as well.
func secretKey(key string) bool {
	key = strings.ToLower(strings.TrimSpace(key))
	if key == "passfile" {
		return false
	}
	return strings.Contains(key, "pass") || strings.Contains(key, "pwd") || strings.Contains(key, "secret")
}

const spaces = " \t\n\r\v\f"

// inspectKeywords follows libpq's key = value form.
func inspectKeywords(rest string) shape {
	var s shape
	var parts []string
	rest = strings.TrimLeft(rest, spaces)
	for rest != "" && s.problem == "" {
		key, after, found := strings.Cut(rest, "=")
		key = strings.Trim(key, spaces)
		if !found || !keyword(key) {
			s.problem = "write postgres://user@host:port/database or host=… user=… dbname=…; " +
				"a value with a space or a quote in it stands in single quotes, with \\' for a quote and \\\\ for a backslash"
			break
		}
		after = strings.TrimLeft(after, spaces)
		raw, value, closed := scanValue(after)
		rest = strings.TrimLeft(after[len(raw):], spaces)
		if !closed {
			s.problem = "a single quote is not closed; write \\' for a quote within a value"
		}
		if secretKey(key) {
			s.secrets = append(s.secrets, raw, value)
			raw = mask
		} else if !closed {
			break // a password may be in what follows
		}
		parts = append(parts, key+"="+raw)
	}
	if s.problem != "" {
		parts = append(parts, mask)
	}
	s.redacted = strings.Join(parts, " ")
	return s
}

func keyword(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '.' {
			return false
		}
	}
	return s != ""
}

// scanValue returns the value s begins with, as written and as meant.
func scanValue(s string) (raw, value string, closed bool) {
	var b strings.Builder
	quoted := strings.HasPrefix(s, "'")
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '\\':
		case quoted && s[i] == '\'':
			return s[:i+1], b.String(), true
		case !quoted && strings.IndexByte(spaces, s[i]) >= 0:
			return s[:i], b.String(), true
		default:
			b.WriteByte(s[i])
		}
	}
	return s, b.String(), !quoted
}
