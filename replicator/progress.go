package replicator

import (
	"sync"
	"time"

	"github.com/dustin/go-humanize"
)

// Progress is how far the initial copy is, over all tables that this process copies.
type Progress struct {
	Tables, TablesDone int
	Chunks, ChunksDone int
	Rows, Bytes        int64 // copied; bytes of COPY text
	Took               time.Duration
}

// ETA is how long the chunks left will take at the rate so far; ok is false while nothing is known.
func (p Progress) ETA() (eta time.Duration, ok bool) {
	if p.ChunksDone == 0 {
		return 0, false
	}
	return p.Took / time.Duration(p.ChunksDone) * time.Duration(p.Chunks-p.ChunksDone), true
}

// OnProgress has f told how the copy gets on, instead of the log. Calls do not overlap.
func (r *Replicator) OnProgress(f func(Progress)) { r.onProgress = f }

// progressEvery is how often the log says how the copy gets on.
const progressEvery = 10 * time.Second

// progress counts what the workers of a load do.
type progress struct {
	r     *Replicator
	mu    sync.Mutex
	now   Progress
	began time.Time
	told  time.Time
}

func (r *Replicator) newProgress() *progress {
	return &progress{r: r, began: time.Now(), told: time.Now()}
}

func (p *progress) add(done Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Tables += done.Tables
	p.now.TablesDone += done.TablesDone
	p.now.Chunks += done.Chunks
	p.now.ChunksDone += done.ChunksDone
	p.now.Rows += done.Rows
	p.now.Bytes += done.Bytes
	p.now.Took = time.Since(p.began)
	if p.r.onProgress != nil {
		p.r.onProgress(p.now)
		return
	}
	if time.Since(p.told) < progressEvery {
		return
	}
	p.told = time.Now()
	eta := "unknown"
	if left, ok := p.now.ETA(); ok {
		eta = left.Round(time.Second).String()
	}
	p.r.log.Info("copying", "tables_done", p.now.TablesDone, "tables", p.now.Tables, "chunks_done", p.now.ChunksDone, "chunks", p.now.Chunks,
		"rows", p.now.Rows, "bytes", humanize.IBytes(uint64(p.now.Bytes)),
		"rate", humanize.IBytes(uint64(float64(p.now.Bytes)/max(p.now.Took.Seconds(), 0.001)))+"/s", "eta", eta)
}
