package lag

// Kept is how many offsets are in memory.
func (p *Partition) Kept() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, order := range p.order {
		n += len(order)
	}
	return n
}
