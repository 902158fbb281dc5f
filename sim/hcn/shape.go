package hcn

// Shape is the form of a document: HNS v1 or HCN v2.
type Shape uint8

// Shapes.
const (
	V2 Shape = iota
	V1
)

// ShapeOf returns the shape that a query with this schema version asks for:
// 1 is the v1 shape, everything else v2 (section B.7).
func ShapeOf(v SchemaVersion) Shape {
	if v.Major == 1 {
		return V1
	}
	return V2
}

func (s Shape) String() string {
	if s == V1 {
		return "v1"
	}
	return "v2"
}
