// Package pgserver gives running PostgreSQL servers of a wanted version on this machine: for tests,
// benchmarks and the demonstration. A server is always a real one: an address or a bin directory
// named in the environment, one installed in a usual place, one from pinned packages, or the
// official Docker image.
//
// It must never be used by anything that touches an operator's databases: its servers listen on
// loopback only, and lose their data when closed. Their superuser has a random password; those of tests trust everybody on this machine.
package pgserver
