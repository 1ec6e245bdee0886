package replicator

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/state"
)

// checkState compares what both sides remember of the stream.
func (r *Replicator) checkState(ctx context.Context, s *sides) (problems []string, err error) {
	stream, err := r.store.Stream(ctx, s.dst)
	if errors.Is(err, state.ErrMissing) {
		if len(s.captured) > 0 {
			r.log.Info("the source captures tables of this stream that the target knows nothing of yet; run and catchup copy them", "tables", len(s.captured))
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.position, s.begun = stream.Position, true
	if problem, err := r.checkSource(ctx, s, stream); err != nil || problem != "" {
		return []string{problem}, err
	}
	if problem, err := r.checkHistory(ctx, s, stream.SourceGeneration); err != nil || problem != "" {
		return []string{problem}, err
	}
	relations, err := r.store.Relations(ctx, s.dst)
	if err != nil {
		return nil, err
	}
	if problem := checkApart(s, relations); problem != "" {
		return []string{problem}, nil
	}
	return checkPurged(s, relations), nil
}

// repairAll is the remedy where the target may have what the source has not, or the other way round.
const repairAll = "pgibex resync --all compares and repairs every table"

// checkSource says what is wrong if this is not the source that the target follows.
func (r *Replicator) checkSource(ctx context.Context, s *sides, stream state.Stream) (problem string, err error) {
	id, err := r.capture.ID(ctx, s.src)
	switch {
	case errors.Is(err, capture.ErrMissing):
		return fmt.Sprintf("target: it holds stream %s of a source whose capture is gone here; if the source is the right one, run pgibex uninstall and begin anew with empty tables", r.config.Stream), nil
	case err != nil:
		return "", err
	case id != stream.SourceID:
		return fmt.Sprintf("target: stream %s follows another source (%s) than this one (%s); check source.dsn and target.dsn", r.config.Stream, stream.SourceID, id), nil
	}
	return "", nil
}

// checkHistory says what is wrong if the source may have lost what the target has of it: it was restored from an older copy, or is a
// standby that was promoted before it had received everything. taken is how often the target knows the stream taken there.
func (r *Replicator) checkHistory(ctx context.Context, s *sides, taken int64) (problem string, err error) {
	const lost = "it was restored from an older copy, or is a standby promoted too early; " + repairAll
	generation, err := r.capture.Taken(ctx, s.src)
	if err != nil {
		return "", err
	}
	now, err := r.capture.Now(ctx, s.src)
	if err != nil {
		return "", err
	}
	then := s.position
	s.promoted = !then.WAL.IsZero() && now.WAL.Timeline != then.WAL.Timeline
	switch {
	case generation < taken:
		return "source: this stream was last taken there fewer times than the target remembers: " + lost, nil
	case now.Snapshot.Xmax < then.Snapshot.Xmax:
		return "source: its transactions lie behind the target's position: " + lost, nil
	case !s.promoted: // on one timeline the log says nothing: a crash loses its end, which no position has seen
		return "", nil
	}
	received, known, err := r.capture.Received(ctx, s.src)
	if err != nil {
		return "", err
	}
	promoted := fmt.Sprintf("%s (its timeline was %d and is %d), and ", promotedText, then.WAL.Timeline, now.WAL.Timeline)
	switch {
	case now.WAL.Timeline != then.WAL.Timeline+1:
		return promoted + "that more than once: it does not know whether it had received everything that the target has; " + repairAll, nil
	case !known:
		return promoted + "started once more since, or did not stream from its primary: it does not know whether it had received everything that the target has; " + repairAll, nil
	case received < then.WAL.LSN.WithoutHeader():
		return promoted + fmt.Sprintf("had received its log up to %s only; the target has everything up to %s; %s", received, then.WAL.LSN, repairAll), nil
	}
	r.log.Info("the source has been promoted; nothing that the target has was lost", "timeline", now.WAL.Timeline)
	return "", nil
}

const promotedText = "source: it has been promoted, or restored from a backup"

// checkApart refuses, after a promotion, tables with a position of their own: what they have may be newer than the stream's position.
func checkApart(s *sides, relations []state.Relation) (problem string) {
	var apart []string
	for _, relation := range relations {
		if s.promoted && !relation.Position.IsZero() && relation.State != state.Quarantined {
			apart = append(apart, relation.Name.String())
		}
	}
	if len(apart) == 0 {
		return ""
	}
	list := strings.Join(apart, " ")
	return fmt.Sprintf("%s, and %s was being copied or caught up, and may have rows that it has lost; pgibex resync %s", promotedText, list, list)
}

// checkPurged refuses a target that lacks changes which the source has purged: one restored from an older copy.
func checkPurged(s *sides, relations []state.Relation) (problems []string) {
	own := map[int]state.Relation{}
	for _, relation := range relations {
		own[relation.Number] = relation
	}
	for _, t := range s.captured {
		relation, there := own[t.Number]
		if !there || relation.State == state.Captured || relation.State == state.Quarantined || t.Stopped != "" {
			continue // it will be copied from a position to come
		}
		at := relation.Position
		if at.IsZero() {
			at = s.position
		}
		if !at.Snapshot.Covers(t.Purged) {
			problems = append(problems, fmt.Sprintf("%s: the source has purged changes that this target does not have (it was restored from an older copy?); %s", t.Name, repairAll))
		}
	}
	return problems
}
