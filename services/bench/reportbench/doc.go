// Package reportbench measures the push of a report: rows come in over HTTP, are matched and compared by the sync service, and written
// by the writer into a simulated org; everything but the config service is the real thing, and the benchmark itself hands out the one
// run. The baseline is what Salesforce's side costs alone: the same rows as upserts in bare Bulk API 2.0 jobs, by the same client,
// one after the other (WALK-37).
package reportbench
