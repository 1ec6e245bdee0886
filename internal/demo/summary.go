package demo

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

func (d *demo) summary(source contents, different []error) {
	say := d.screen.say
	w := d.watcher
	say("")
	say("  versions      %s to %s", d.source.server.Version(), d.target.server.Version())
	say("  compared      %d tables, %s rows, %d sequences", len(source.tables), count(source.rows()), len(source.sequences))
	say("  differences   %d", len(different))
	say("  application   %s transactions, %s rows written, %d errors",
		count(d.shop.transactions.Load()), count(d.shop.rows.Load()), d.shop.failures.Load())
	if len(w.lags) > 0 {
		say("  lag           median %s, highest %s (with the kill)", seconds(w.medianLag()), seconds(w.highestLag()))
	}
	if w.peakMemory > 0 {
		say("  daemon        %s of memory at most", size(w.peakMemory))
	}
	say("")
}

func count(n int64) string { return humanize.Comma(n) }

func size(bytes int64) string { return humanize.IBytes(uint64(max(bytes, 0))) }

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }

func since(started time.Time) string { return seconds(time.Since(started).Seconds()) }
