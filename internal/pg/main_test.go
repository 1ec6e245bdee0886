package pg

import (
	"testing"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
