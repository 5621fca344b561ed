// Package lapse ends connections that their workspace's plan has not included for long: they are disconnected on both sides,
// and their secrets are erased. Their settings and integrations stay; it takes a plan and a login to go on.
package lapse
