// Package keys keeps what the store holds sealed under the installation's primary key: after a rotation it opens every value
// with the key that sealed it and seals it anew, in the background, while everybody reads and writes. It also tells which
// keys are still needed.
//
// There is no mark of how far it got. Every sealed value names its key, so whoever begins again, after a crash or beside
// another replica, finds what is left. A value that does not open is reported, stays as it is and stops nothing.
package keys
