// Package cache keeps the newest answers for a while: bounded in number, bounded in age, least recently used out first.
package cache
