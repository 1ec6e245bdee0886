package config

import (
	"fmt"
	"slices"
	"strings"
)

// suggest names the known keys nearest to an unknown one, or all of its section where none is near.
func suggest(section, key string) string {
	key = strings.ToLower(key)
	nearest, least := []string(nil), 2+len(lastPart(key))/4
	for _, known := range knownKeys() {
		// A right name in the wrong section counts as near, as does a mistyped path.
		d := min(distance(key, known), 1+distance(lastPart(key), lastPart(known)))
		switch {
		case d < least:
			nearest, least = []string{known}, d
		case d == least && len(nearest) > 0:
			nearest = append(nearest, known)
		}
	}
	if len(nearest) > 0 {
		return fmt.Sprintf("did you mean %s?", join(nearest, "or"))
	}
	return "known here: " + join(keysOf(section), "and")
}

// knownKeys are the full paths of all settings and the sections.
func knownKeys() []string {
	keys := keysOf("")
	for _, s := range settings {
		if !slices.Contains(keys, s.key) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func join(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}

// distance counts the insertions, deletions, substitutions and swaps of neighbors that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	before, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}

// Nearest returns the names of tables that a pattern which matches none of them was perhaps meant for, at most three. A part that is only
// an asterisk stays one.
func Nearest(pattern string, tables []TableName) []string {
	parts := strings.Split(pattern, ".")
	if len(parts) != 2 {
		return nil
	}
	least, near := 3, []string(nil)
	for _, t := range tables {
		name, sum := [2]string{t.Schema, t.Table}, 0
		for i, part := range parts {
			if part == "*" {
				name[i] = part
				continue
			}
			d := distance(strings.ToLower(part), strings.ToLower(name[i]))
			if d > 1+len(part)/4 {
				d = least + 1
			}
			sum += d
		}
		if text := strings.Join(name[:], "."); sum < least {
			least, near = sum, []string{text}
		} else if sum == least && len(near) > 0 && !slices.Contains(near, text) {
			near = append(near, text)
		}
	}
	slices.Sort(near)
	return near[:min(len(near), 3)]
}
