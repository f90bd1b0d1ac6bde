// Package ledger keeps what must survive a restart: settlements, how much of each payment is
// spent, revocations, and money on its way. It works on any certmagic.Storage, shared by any
// number of instances, and needs nothing else.
//
// # How it uses the storage
//
// A certmagic.Storage has no compare-and-swap, no time to live, no append, and back ends differ in
// most of what its interface leaves open. So the ledger writes immutable objects under names that
// only one instance can choose, and uses only Store, Load, Delete and List. Memory is the index,
// the storage is the log. Every name is checked against the grammar below before it is written or
// deleted: in some storages, deleting an empty key deletes everything.
//
//	<prefix>/ledger/<inc>/<date>/<seq>.seg          one group commit: settlements, uses, notes
//	<prefix>/ledger/<inc>/<date>/<from>-<to>.set    merged segments: settlements and notes
//	<prefix>/ledger/<inc>/<date>/<from>-<to>.use    merged segments: uses, summed up
//	<prefix>/uses/<hh>/<hh>/<hash>-<inc>-<seq>-<until>-<uses>-<bytes>.claim
//	<prefix>/uses/<hh>/<hh>/<hash>-<inc>-<seq>-<until>-<uses>-<bytes>.back
//	<prefix>/instances/<inc>-<n>.beat               the instance lives
//	<prefix>/instances/<inc>-<by>.dead, .grave      it ended, or is thought to have
//	<prefix>/wants/<hash>-<inc>-<time>.want         an instance asks others to give uses back
//	<prefix>/revoked/<kind>-<value>-<time>-<inc>.rev
//	<prefix>/revgen/<inc>-<n>.gen                   changes when a revocation was added
//	<prefix>/durable/<kind>/<hh>/<id>-<version>-<inc>.kv
//	<prefix>/<area>/0.mark                          only where an empty folder cannot be listed
//
// All parts are lower-case hex but date and kind. inc is an incarnation: the life of one process,
// or a part of it. Files of records carry a CRC-32C for each record and an end mark; a damaged one
// is used up to the damage and reported once.
//
// # Settlements
//
// RecordSettlement is memory only; records are written together, at the latest 20 ms after the
// first of them came. Segments of a day are merged into files of up to 8 MiB. Open reads the
// newest settlements only, so that a token shown after a restart is not noted again; readers drop
// what was noted twice. Reports read file by file.
//
// # Uses
//
// An instance claims a block of a payment's uses at first sight: half of what is left when it is
// alone, else a quarter. From then on Reserve and Commit touch memory only, and counts are written
// with the group commit. A claim is valid when a listing after it shows that all claims stay
// within the limit; else it is withdrawn and tried again under the storage's lock of that token.
// Unspent uses go back to the storage when the token was idle for a minute, when another instance
// asks for them, and when the instance closes.
//
// A payment of a single use is claimed before Reserve returns and its Commit returns when the use
// is stored, so a use that was answered is never answered again, whenever the process dies.
//
// An instance that holds uses writes a beat every fifth of LeaseTTL (20 s). One that is silent for
// the whole of LeaseTTL, or whose process on the same Linux machine provably ended, is declared
// dead, and its unspent uses go to whoever needs them: its segments tell what it had spent. An
// instance that could not write a beat for half of LeaseTTL stops spending before that.
//
// # What is guaranteed
//
// As long as the storage lists what was stored before the listing began:
//
//   - All instances together never claim more uses than were bought. The lock is not needed for
//     that; where it does nothing, contended claims only take longer.
//   - A single use is answered at most once.
//   - What was not spent is not lost: after any crash the payer still has at least the uses for
//     which Commit was not called.
//
// Where a listing may lag behind (a network file system that caches folders, an object store
// without strong consistency), two instances that claim within the lag can both win: each
// instance may then pass what it claimed, a single use once per instance.
//
// # What it costs when something dies
//
//   - kill -9, power loss: the payer may get back the uses (of a payment of several) that were
//     spent within the last CommitEvery and the time of one Store, about 25 ms on a local disk.
//     Settlements of that time are lost from the report; the payer shows the token again, which
//     notes them anew. FileStorage does not sync folders, so a power loss may take more, as much
//     as the file system holds back.
//   - A single use whose Commit was under way: it may be spent though the answer did not arrive.
//   - Uses that the dead instance held are refused with ErrElsewhere until it is known to be dead:
//     at once on the same machine and process namespace, else after LeaseTTL.
//   - Close: nothing. Requests still under way when its context ends are not charged.
//   - An instance paused for longer than LeaseTTL (a stopped process, a sleeping machine): requests
//     that it had reserved before and that have several uses pass without being charged; those of
//     a single use are refused at Commit with ErrFenced. What it spent and could not write before
//     it was declared dead is given away as well.
//   - The storage fails: uses are spent from memory until a commit has failed for DegradeAfter (1 s),
//     which a storage that hangs draws out to OpTimeout (10 s); then metered tokens are refused with
//     ErrUnavailable; tokens that are only limited in time need no storage.
//     Settlements wait in a buffer of MaxPending, then RecordSettlement returns ErrBacklog. When
//     the storage is back, all of it is written. If the process dies before, it is lost: the uses
//     in the payer's favor.
//   - A Commit of a single use that fails because the storage does is taken back by a second record.
//     If the process dies after the first was written and before the second, the use is spent.
//   - Bytes are spent before they are sent. A response that is longer than what this instance claimed
//     claims more while it is sent; where there is no more, the caller ends it.
//
// Idempotency keys are kept in memory, by one instance.
//
// # What it leaves behind
//
// Claims are deleted a day after the payment's ValidUntil, one 256th of them every few minutes;
// without ValidUntil they stay. Settlements stay for ever.
package ledger
