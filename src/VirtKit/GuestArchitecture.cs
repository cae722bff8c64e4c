namespace VirtKit;

/// <summary>A guest instruction set architecture and its configuration. Engines look at the type to decide whether they can run it; each ISA folder has one.</summary>
public abstract record GuestArchitecture
{
    /// <summary>The architecture's name, <c>riscv64</c>, <c>x86_64</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Whether the architecture has an I/O port space beside memory, so that the machine gets <see cref="Machine.Ports"/>.</summary>
    public virtual bool HasPorts => false;
}
