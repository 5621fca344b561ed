// Package addrtest gives tests addresses that nobody takes while nobody listens there: for servers that come later, or go away and
// come back. A port that the system chose is not one; as soon as it is free, the system may give it to the next who asks.
package addrtest
