package replicator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/hint"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/state"
)

// Status is what both databases say of a stream, whether or not a daemon runs.
type Status struct {
	Stream       string        `json:"stream"`
	Phase        string        `json:"phase"`      // not installed, copying, catching up, streaming
	Consistent   bool          `json:"consistent"` // all tables that are not quarantined show one state of the source
	Daemon       bool          `json:"daemon"`     // a process carries the stream
	Position     string        `json:"position"`   // txid_snapshot
	PositionTime *time.Time    `json:"position_time"`
	LagSeconds   float64       `json:"lag_seconds"` // -1 before the first batch
	BacklogRows  int64         `json:"backlog_rows"`
	BacklogBytes int64         `json:"backlog_bytes"`
	Tables       []TableStatus `json:"tables"`
	ForeignKeys  []string      `json:"foreign_key_failures,omitempty"`
	Checks       []string      `json:"checks_put_off,omitempty"` // checks of the target, and what is with them
	Problems     []Problem     `json:"problems"`                 // why the target does not have everything
	Warnings     []string      `json:"warnings,omitempty"`

	Sequences []SequenceStatus `json:"sequences_not_set,omitempty"`
}

// SequenceStatus is a sequence of the stream that is not set on the target.
type SequenceStatus struct {
	Sequence string `json:"sequence"`
	Reason   string `json:"reason"`
	Remedy   string `json:"remedy"`
}

// TableStatus is what is known of one table.
type TableStatus struct {
	Number        int         `json:"number"`
	Table         string      `json:"table"`
	State         state.State `json:"state"`
	Reason        string      `json:"reason,omitempty"`
	Remedy        string      `json:"remedy,omitempty"`
	Waiting       string      `json:"waiting,omitempty"` // for whom, of a table that is behind the others and that they have locked on the target
	RowsCopied    int64       `json:"rows_copied"`
	BytesCopied   int64       `json:"bytes_copied"`
	RowsEstimated int64       `json:"rows_estimated"`
	Chunks        int         `json:"chunks"`
	ChunksDone    int         `json:"chunks_done"`
	ETASeconds    *float64    `json:"eta_seconds,omitempty"` // of the copy
	PendingRows   int64       `json:"pending_rows"`          // deltas not applied yet
	PendingBytes  int64       `json:"pending_bytes"`
	DrainBlocks   int64       `json:"drain_blocks,omitempty"` // blocks of a long backlog still to be applied
}

// Status reads both databases.
func (r *Replicator) Status(ctx context.Context) (*Status, error) {
	src, err := r.source.Connect(ctx, "status")
	if err != nil {
		return nil, err
	}
	defer src.CloseNow()
	dst, err := r.target.Connect(ctx, "status")
	if err != nil {
		return nil, err
	}
	defer dst.CloseNow()
	status := &Status{Stream: r.config.Stream, Phase: "not installed", LagSeconds: -1, Tables: []TableStatus{}, Problems: []Problem{}}
	captured, err := r.capture.Tables(ctx, src)
	if err != nil {
		return nil, err
	}
	if status.Daemon, err = r.carried(ctx, dst); err != nil {
		return nil, err
	}
	stream, err := r.store.Stream(ctx, dst)
	if errors.Is(err, state.ErrMissing) {
		switch {
		case status.Daemon:
			status.Phase = "installing the capture"
		case len(captured) > 0:
			status.Phase = "installed on the source, not copied yet (next: pgibex run)"
		}
		return status, nil
	}
	if err != nil {
		return nil, err
	}
	if !stream.Position.IsZero() {
		status.Position, status.PositionTime = stream.Position.Snapshot.String(), &stream.Position.Clock
	}
	if err := r.tableStatus(ctx, src, dst, stream, captured, status); err != nil {
		return nil, err
	}
	checks, err := r.loader.Checks(ctx, dst, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range checks {
		if d.Failure == "" {
			status.Checks = append(status.Checks, d.PutOff())
		}
	}
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return nil, err
	}
	return status, r.problems(ctx, src, dst, relations, status)
}

func (r *Replicator) tableStatus(ctx context.Context, src, dst *pg.Conn, stream state.Stream, captured []capture.Table, status *Status) error {
	relations, err := r.store.Relations(ctx, dst)
	if err != nil {
		return err
	}
	progress, err := r.loader.Progress(ctx, dst)
	if err != nil {
		return err
	}
	draining, err := drainLeft(ctx, r.store, dst)
	if err != nil {
		return err
	}
	positions := map[int]change.Snapshot{}
	oldest := stream.Position.Clock
	for _, relation := range relations {
		at := relation.Position
		if at.IsZero() {
			at = stream.Position
		}
		positions[relation.Number] = at.Snapshot
		if relation.State == state.Streaming && at.Clock.Before(oldest) {
			oldest = at.Clock
		}
	}
	now, err := r.capture.Now(ctx, src)
	if err != nil {
		return err
	}
	pending, err := r.capture.Pending(ctx, src, positions)
	if err != nil {
		return err
	}
	locked, err := r.lockedBy(ctx, dst, relations)
	if err != nil {
		return err
	}
	barred, err := r.barred(ctx, src, captured, relations)
	if err != nil {
		return err
	}
	waiting := false // changes of streaming tables
	for _, relation := range relations {
		p := progress[relation.Number]
		t := TableStatus{
			Number: relation.Number, Table: relation.Name.String(), State: relation.State, Reason: relation.Reason,
			Waiting: cmp.Or(words(locked[relation.Number]), barred[relation.Number]), RowsCopied: p.Rows, BytesCopied: p.Bytes, RowsEstimated: max(relation.RowsEstimated, p.Rows), Chunks: p.Chunks, ChunksDone: p.Done,
			PendingRows: pending[relation.Number].Rows, PendingBytes: pending[relation.Number].Bytes, DrainBlocks: draining[relation.Number],
		}
		if relation.State == state.Copying {
			t.ETASeconds = p.ETA()
		}
		status.Tables = append(status.Tables, t)
		status.BacklogRows += t.PendingRows
		status.BacklogBytes += t.PendingBytes
		waiting = waiting || t.State == state.Streaming && t.PendingRows > 0
	}
	unset, err := r.unsetSequences(ctx, src, dst, relations)
	if err != nil {
		return err
	}
	for _, s := range unset {
		status.Sequences = append(status.Sequences, SequenceStatus{Sequence: s.Name.String(), Reason: s.why.Error(), Remedy: hint.Of(s.why)})
	}
	status.Phase, status.Consistent = phase(relations, stream)
	switch {
	case stream.Position.IsZero():
	case waiting:
		status.LagSeconds = max(0, now.Clock.Sub(oldest).Seconds())
	default:
		status.LagSeconds = 0 // nothing is missing on the target
	}
	return nil
}

func phase(relations []state.Relation, stream state.Stream) (phase string, consistent bool) {
	phase, consistent = "streaming", !stream.Position.IsZero()
	for _, relation := range relations {
		switch {
		case relation.State == state.Captured || relation.State == state.Copying:
			return "copying", false
		case relation.State == state.Quarantined:
		case relation.State == state.Copied || !relation.Position.IsZero():
			phase, consistent = "catching up", false
		}
	}
	return phase, consistent
}

// Summary is the status in a line.
func (s *Status) Summary() string {
	daemon := "no daemon"
	if s.Daemon {
		daemon = "daemon running"
	}
	lag := "none yet"
	if s.LagSeconds >= 0 {
		lag = time.Duration(s.LagSeconds * float64(time.Second)).Round(time.Millisecond).String()
	}
	wrong := ""
	if len(s.Problems) > 0 {
		wrong = counted(s.Problems, len(s.Tables)) + ", "
	}
	return fmt.Sprintf("stream %s: %s, %s%s, lag %s, %s changes (%s) behind", s.Stream, s.Phase, wrong, daemon, lag,
		humanize.Comma(s.BacklogRows), humanize.IBytes(uint64(s.BacklogBytes)))
}
