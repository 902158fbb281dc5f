// Package reach finds out who reaches whom in a world: every container, host
// and external machine, every virtual address of a service and every published
// port, against each other for a list of protocols and ports.
//
// Each cell of the table is tried in a world of its own, made by the set-up
// lines of a scenario, so that no cell sees the flows of another one. A cell is
// open when an answer comes back.
//
//	world.go     who is there: what the set-up asked the backend for
//	probe.go     one cell
//	table.go     all cells, in a fixed order
//	expect.go    what is expected of them, from CSV or JSON
//	text.go      the table for people, and as CSV
//	documents.go a scenario around HCN documents
//
// It sees a backend, and knows nothing of the model.
package reach
