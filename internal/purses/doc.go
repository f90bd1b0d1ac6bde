// Package purses keeps the purses of ecash that a process has on a storage: one for each mint, unit
// and tenant. Configurations come and go and share them; a mint or a storage that does not answer
// yet holds up nothing.
//
// Several processes may share a storage. Each has a seat there, a number that it holds by showing
// now and then that it lives, and the records of its purses are kept under that number. A process
// that starts takes the first seat whose holder has left or is dead, with the ecash there. A seat
// that stays empty is looked after by one of the others. What a process that lost its seat
// still wants to write is refused.
package purses
