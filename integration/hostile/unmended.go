package hostile

import "strings"

// unmended are hostilities that pgibex does not pass yet: parts of their names, all of which must be there, and what happens.
var unmended = []struct {
	parts []string
	what  string
}{
	{[]string{"sequence", "locked on the source"}, "it is named later than a table would be"},
}

// Unmended says what happens of a hostility that is not passed yet; "" for all others. They are done only when they are asked for by name.
func (h Hostility) Unmended() string {
	for _, u := range unmended {
		all := true
		for _, part := range u.parts {
			all = all && strings.Contains(h.Kind+": "+h.Name, part)
		}
		if all {
			return u.what
		}
	}
	return ""
}
