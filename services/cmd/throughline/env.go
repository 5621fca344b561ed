package main

import (
	"os"
	"strings"
)

// reserved are variables with the prefix that are not configuration keys.
var reserved = []string{"THROUGHLINE_CONFIG=", "THROUGHLINE_TEST_"}

// configFile is the flag's file, or the one the environment names.
func configFile(flag string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv("THROUGHLINE_CONFIG")
}

// configEnviron is the environment without the reserved variables.
func configEnviron() []string {
	out := []string{}
next:
	for _, entry := range os.Environ() {
		for _, prefix := range reserved {
			if strings.HasPrefix(entry, prefix) {
				continue next
			}
		}
		out = append(out, entry)
	}
	return out
}
