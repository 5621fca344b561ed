// Package ranges does the arithmetic of watched stretches: sets of disjoint stretches of a video, their union and their
// length. It knows nothing of visits; all times are seconds from the start of the video.
package ranges
