// Package bulk keeps and runs the jobs of the Bulk API 2.0: ingest jobs write the rows of an uploaded CSV file through the
// org's own rules, query jobs answer with one. Jobs, uploads and results are in the journal; the outcome of a chunk is stored
// together with the records that it changed, so that a job that was cut short goes on without doing a row twice.
package bulk
