namespace VirtKit.Boot;

/// <summary>A node of a <see cref="DeviceTree"/>.</summary>
public sealed class DeviceTreeNode
{
    private readonly List<DeviceTreeProperty> _properties = [];
    private readonly List<DeviceTreeNode> _children = [];

    internal DeviceTreeNode(string name) => Name = name;

    /// <summary>The name with its unit address, <c>serial@10000000</c>; empty for the root.</summary>
    public string Name { get; }

    /// <summary>The properties in the blob's order.</summary>
    public IReadOnlyList<DeviceTreeProperty> Properties => _properties;

    /// <summary>The child nodes in the blob's order.</summary>
    public IReadOnlyList<DeviceTreeNode> Children => _children;

    /// <summary>Finds a property by name.</summary>
    /// <returns>The first one of that name, or <see langword="null"/>.</returns>
    public DeviceTreeProperty? Property(string name) => _properties.Find(property => property.Name == name);

    /// <summary>Whether the node's <c>compatible</c> lists this programming model.</summary>
    public bool IsCompatible(string model) => Property("compatible")?.Strings().Contains(model) == true;

    /// <summary>All nodes below this one, parents before their children.</summary>
    public IEnumerable<DeviceTreeNode> Descendants()
    {
        // DeviceTree.MaxDepth bounds the recursion.
        foreach (DeviceTreeNode child in _children)
        {
            yield return child;
            foreach (DeviceTreeNode node in child.Descendants())
                yield return node;
        }
    }

    internal void Add(DeviceTreeProperty property) => _properties.Add(property);

    internal void Add(DeviceTreeNode child) => _children.Add(child);
}
