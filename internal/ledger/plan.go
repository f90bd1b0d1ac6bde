package ledger

import "sort"

// plan chooses from the files of one folder those that hold every record of a kind once. A merged
// file stands for all files in its range: after a crash between writing it and deleting what it
// was made of, both exist. merged is sufSettlements or sufUses; merged files of the other kind are
// left out.
func plan(files []segName, merged string) []segName {
	var use []segName
	for _, f := range files {
		if f.suffix == sufSegment || f.suffix == merged {
			use = append(use, f)
		}
	}
	sort.Slice(use, func(i, j int) bool {
		a, b := use[i], use[j]
		if a.from != b.from {
			return a.from < b.from
		}
		if a.to != b.to {
			return a.to > b.to
		}
		return a.suffix != sufSegment && b.suffix == sufSegment // the merged one first
	})
	out := use[:0]
	covered := uint64(0)
	for _, f := range use {
		if f.to <= covered {
			continue
		}
		out = append(out, f)
		covered = f.to
	}
	return out
}
