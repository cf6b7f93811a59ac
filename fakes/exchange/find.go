package exchange

// FindQuery asks for a page of a folder by received time.
type FindQuery struct {
	Folder    FolderRef
	Offset    int
	Max       int             // rows; 0 or above the limit means the limit
	Ascending bool            // oldest first
	FromEnd   bool            // BasePoint="End": the page ends Offset rows before the end of the view
	Match     func(Item) bool // restriction; nil: all. Called under the organisation's lock: it must be quick and call nothing here
}

// FindPage is the answer.
type FindPage struct {
	Items []Item
	Next  int  // IndexedPagingOffset
	Last  bool // IncludesLastItemInRange
	Total int  // TotalItemsInView
}

// Find returns a page of a folder's items.
func (o *Organisation) Find(address string, q FindQuery) (FindPage, *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := o.open(address)
	if err != nil {
		return FindPage{}, err
	}
	f := m.folder(q.Folder)
	if f == nil {
		return FindPage{}, refuse(CodeFolderNotFound)
	}
	limit := o.behaviour.FindRowsMax
	items := f.items
	if q.Match != nil {
		limit = o.behaviour.FindRestrictMax
		var matching []*item
		for _, it := range items {
			if q.Match(it.snapshot()) {
				matching = append(matching, it)
			}
		}
		items = matching
	}
	if q.Max <= 0 || q.Max > limit {
		q.Max = limit
	}
	total := len(items)
	at := func(i int) Item { // i-th row of the view
		if q.Ascending {
			return items[i].snapshot()
		}
		return items[total-1-i].snapshot()
	}
	offset := min(max(q.Offset, 0), total)
	first, last := offset, min(offset+q.Max, total)
	page := FindPage{Total: total}
	if q.FromEnd {
		last = total - offset
		first = max(last-q.Max, 0)
		page.Next, page.Last = total-first, first == 0
	} else {
		page.Next, page.Last = last, last == total
	}
	page.Items = make([]Item, 0, last-first)
	for i := first; i < last; i++ {
		page.Items = append(page.Items, at(i))
	}
	return page, nil
}
