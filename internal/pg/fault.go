//go:build !torture

package pg

import "github.com/jackc/pgx/v5/pgconn"

// faultDial is where the build for the torture machine (tag torture) has its fault points; this one has none.
func faultDial(dial pgconn.DialFunc) pgconn.DialFunc { return dial }
