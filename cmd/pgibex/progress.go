package main

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/pgibex/pgibex/replicator"
)

// showProgress draws a bar for the initial copy where stderr is a terminal. The log goes on above it. Elsewhere the
// log itself says how the copy gets on.
func (o *options) showProgress(r *replicator.Replicator) (stop func()) {
	if o.logFormat != "text" || !term.IsTerminal(int(os.Stderr.Fd())) {
		return func() {}
	}
	var bars *mpb.Progress
	var bar *mpb.Bar
	var now atomic.Pointer[replicator.Progress]
	stop = func() {
		if bars == nil {
			return
		}
		o.log.to(os.Stderr)
		bar.Abort(false)
		bars.Wait()
		bars, bar = nil, nil
	}
	r.OnProgress(func(p replicator.Progress) {
		now.Store(&p)
		if bars == nil {
			bars = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(40))
			bar = bars.AddBar(0, mpb.PrependDecorators(decor.Name("copying ")), mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
				return describe(now.Load())
			})))
			o.log.to(bars)
		}
		bar.SetTotal(int64(p.Chunks), false)
		bar.SetCurrent(int64(p.ChunksDone))
		if p.TablesDone == p.Tables {
			stop()
		}
	})
	return stop
}

func describe(p *replicator.Progress) string {
	text := fmt.Sprintf(" %d of %d tables, %s rows, %s, %s/s", p.TablesDone, p.Tables, humanize.Comma(p.Rows),
		humanize.IBytes(uint64(p.Bytes)), humanize.IBytes(uint64(float64(p.Bytes)/max(p.Took.Seconds(), 0.001))))
	if eta, ok := p.ETA(); ok {
		text += ", " + eta.Truncate(1e9).String() + " left"
	}
	return text
}

// logWriter is where the log goes: stderr, or above a bar.
type logWriter struct{ w atomic.Pointer[io.Writer] }

func (l *logWriter) to(w io.Writer) { l.w.Store(&w) }

func (l *logWriter) Write(p []byte) (int, error) {
	if w := l.w.Load(); w != nil {
		if n, err := (*w).Write(p); err == nil {
			return n, nil
		}
	}
	return os.Stderr.Write(p)
}
