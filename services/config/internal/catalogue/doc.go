// Package catalogue knows what each connection's org has to offer: the objects and fields as the integration user may see
// them. It keeps the answers in the store, asks again at least every six hours, on demand, and when the writer was refused
// for a reason that lies in a field, and then judges the connection's integrations anew: those that do not fit any more are
// kept by name until they do (XC-38).
//
// It asks one question at a time per connection, and an org that does not answer is left alone for a while, so that it costs
// the others nothing (promise 6). It never refuses anything itself: what could not be asked is said as such, and an answer
// that has grown old is used with its age.
package catalogue
