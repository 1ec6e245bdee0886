package torture

import (
	"bufio"
	"bytes"
	"regexp"
	"strings"
)

var ourError = regexp.MustCompile(`^\S+ \S+ \S+ \[\d+\] (pgibex/\S+) (ERROR|PANIC|FATAL|WARNING):  (.*)`)

// searchLogs looks through both servers' logs for a deadlock in which one of our sessions took part, and counts our errors.
func (m *machine) searchLogs() {
	for _, s := range []*server{m.source, m.target} {
		text, err := s.newLog()
		if err != nil {
			m.hurt("the log of the %s: %v", s.side, err)
			continue
		}
		deadlock := ""
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			line := lines.Text()
			if found := ourError.FindStringSubmatch(line); found != nil {
				m.count(s.side + ": " + found[1] + " " + found[2] + ": " + digits.ReplaceAllString(found[3], "N"))
			}
			switch {
			case strings.Contains(line, "deadlock detected"):
				deadlock = line
			case deadlock != "" && strings.Contains(line, "DETAIL:"):
				if with := m.watcher.pgibexIn(line); s == m.source && (with != "" || strings.Contains(deadlock, "] pgibex/")) {
					m.hurt("a deadlock with %s on the %s:\n%s\n%s", with, s.side, deadlock, line)
				}
				deadlock = ""
			}
		}
	}
}

var digits = regexp.MustCompile(`[0-9]+`)
