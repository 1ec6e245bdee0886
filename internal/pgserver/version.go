package pgserver

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Major versions that the project is about.
const (
	SourceVersion = "9.2"
	TargetVersion = "14"
)

// Versions lists the major versions that packages exist for, oldest first. Others are found too
// when they are installed, or as Docker images.
func Versions() []string {
	majors := make([]string, 0, len(packages))
	for _, p := range packages {
		majors = append(majors, majorOf(p.version))
	}
	return majors
}

var wantedVersion = regexp.MustCompile(`^(9\.\d|[1-9]\d)$`)

func checkVersion(version string) error {
	if !wantedVersion.MatchString(version) {
		return fmt.Errorf("%q is not a PostgreSQL major version: write 9.2, 9.6, 14, 18", version)
	}
	return nil
}

// majorOf cuts 9.2.21 to 9.2, and 14.23 to 14.
func majorOf(full string) string {
	first, rest, _ := strings.Cut(full, ".")
	if n, err := strconv.Atoi(first); err != nil || n >= 10 {
		return first
	}
	second, _, _ := strings.Cut(rest, ".")
	return first + "." + second
}

// atLeast compares the major version of full with a wanted one.
func atLeast(full, major string) bool {
	return versionNumber(majorOf(full)) >= versionNumber(major)
}

func versionNumber(major string) int {
	first, second, _ := strings.Cut(major, ".")
	a, _ := strconv.Atoi(first)
	b, _ := strconv.Atoi(second)
	return a*100 + b
}

// environmentName gives PGIBEX_PG92_BIN for 9.2 and BIN.
func environmentName(version, suffix string) string {
	return "PGIBEX_PG" + strings.ReplaceAll(version, ".", "") + "_" + suffix
}

// AddressVariable names the environment variable for the address of a running server of a version.
func AddressVariable(version string) string { return environmentName(version, "DSN") }
