// Package eventsetup judges the set-up of the four event flows: what of it is on, what is missing on which screen, and whether
// an org has what it asks for (HOPIN-3 to HOPIN-8, HOPIN-10, HOPIN-12, HOPIN-23). Of the first flow it makes the integration that
// mapping runs (HOPIN-9); no service runs the others yet, and it says so. It saves nothing and asks nobody: orgs are described to
// it.
package eventsetup
