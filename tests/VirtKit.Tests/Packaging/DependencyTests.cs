using System.Reflection;
using VirtKit.Execution;

namespace VirtKit.Tests.Packaging;

/// <summary>The layers of the design, held by what the compiled assemblies refer to.</summary>
public sealed class DependencyTests
{
    private const BindingFlags Everything = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    [Theory]
    [InlineData("VirtKit")]
    [InlineData("VirtKit.Devices", "VirtKit")]
    // A cross-check that finds a difference shows the host's code disassembled, wherever it is switched on.
    [InlineData("VirtKit.Accel", "VirtKit", "Iced")]
    public void References_OfAnAssembly_AreTheFrameworkAndTheLayerBelow(string assembly, params string[] allowed)
    {
        using var metadata = new AssemblyMetadata(assembly);
        Assert.All(metadata.References, name => Assert.True(
            allowed.Contains(name) || name == "Microsoft.Extensions.Logging.Abstractions" || name.StartsWith("System.", StringComparison.Ordinal), name));
    }

    [Fact]
    public void Devices_Code_IsSafeAndManaged()
    {
        using var metadata = new AssemblyMetadata("VirtKit.Devices");
        Assert.False(metadata.HasUnverifiableCode);
        Assert.Empty(metadata.NativeMethods);
        using var core = new AssemblyMetadata("VirtKit");
        Assert.True(core.HasUnverifiableCode, "The check itself: VirtKit has unsafe code.");
    }

    [Theory]
    [InlineData("VirtKit.Devices", "")]
    [InlineData("VirtKit.Accel", "VirtKit.Accel.Kvm")]
    public void Uses_OfVirtKit_ArePublic(string assembly, string inNamespace)
    {
        using var metadata = new AssemblyMetadata(assembly);
        Assembly core = typeof(Machine).Assembly;
        SortedSet<string> uses = metadata.Uses("VirtKit", inNamespace);
        Assert.Contains("VirtKit.AddressSpace", uses.Select(use => use.Split("::")[0]));
        Assert.Equal([], uses.Where(use => !IsPublic(core, use)));
    }

    [Theory]
    [InlineData("VirtKit.Machine", true)]
    [InlineData("VirtKit.Machine::Run", true)]
    [InlineData("VirtKit.Engines.EnginePartition::Dispose", true)]
    [InlineData("VirtKit.Machine::PendingStop", false)]
    [InlineData("VirtKit.Machine::get_PendingStop", false)]
    [InlineData("VirtKit.Machine+StopRequest", false)]
    [InlineData("VirtKit.Time.VirtualClock", false)]
    public void IsPublic_OfAMember_IsKnown(string use, bool expected) => Assert.Equal(expected, IsPublic(typeof(Machine).Assembly, use));

    [Fact]
    public void Uses_OfVirtKitByItsTests_IncludeInternalOnes()
    {
        using var metadata = new AssemblyMetadata("VirtKit.Tests");
        SortedSet<string> uses = metadata.Uses("VirtKit");
        Assert.Contains("VirtKit.Machine::Run", uses);
        Assert.Contains("VirtKit.Time.TimerQueue::Fire", uses);
    }

    private static readonly string[] GuestNamespaces = ["VirtKit.RiscV", "VirtKit.X86", "VirtKit.Accel.Translator.Guests.RiscV"];

    /// <summary>N guest architectures and M engines cost N + M only while what is shared names no architecture.</summary>
    [Theory]
    [InlineData("VirtKit", "VirtKit.Execution")]
    [InlineData("VirtKit", "VirtKit.Interpreter")]
    [InlineData("VirtKit.Accel", "VirtKit.Accel.Translator.Ir")]
    [InlineData("VirtKit.Accel", "VirtKit.Accel.Translator.Code")]
    [InlineData("VirtKit.Accel", "VirtKit.Accel.Translator.Checking")]
    [InlineData("VirtKit.Accel", "VirtKit.Accel.Translator.Hosts")]
    public void Uses_OfWhatArchitecturesShare_NameNone(string assembly, string inNamespace)
    {
        IReadOnlyCollection<string> uses = TypeUses.Of(Assembly.Load(assembly), inNamespace);
        Assert.NotEmpty(uses);
        Assert.Equal([], uses.Where(use => GuestNamespaces.Any(name => use.Contains("-> " + name, StringComparison.Ordinal))));
    }

    /// <summary>A PCI transport must be able to stand beside the memory-mapped one.</summary>
    [Fact]
    public void Uses_OfVirtioDevices_NameNoTransport()
    {
        string[] uses = [.. TypeUses.Of(typeof(VirtKit.Devices.Virtio.VirtioDevice).Assembly, "VirtKit.Devices.Virtio").Where(use => use.Contains("-> VirtKit.Devices.Virtio.VirtioMmio", StringComparison.Ordinal))];
        Assert.All(uses, use => Assert.StartsWith("VirtKit.Devices.Virtio.VirtioMmio", use, StringComparison.Ordinal));
        Assert.Contains(TypeUses.Of(typeof(VirtKit.Devices.Virtio.VirtioDevice).Assembly, "VirtKit.Devices.Virtio"), use => use == "VirtKit.Devices.Virtio.VirtioDevice -> VirtKit.Devices.Virtio.IVirtioTransport");
    }

    /// <summary>The check itself: of a namespace that does name one, it sees where.</summary>
    [Theory]
    [InlineData("VirtKit.Boot", "VirtKit.Boot.ElfImage -> VirtKit.AddressSpace")]
    [InlineData("VirtKit.RiscV", "VirtKit.RiscV.Hart -> VirtKit.RiscV.RiscVState")]
    [InlineData("VirtKit.RiscV", "VirtKit.RiscV.RiscVSystem -> VirtKit.Execution.GuestSystem")]
    [InlineData("VirtKit.RiscV", "VirtKit.RiscV.RiscVPairs`1 -> VirtKit.Interpreter.Handlers`3")]
    public void Uses_OfANamespace_AreSeen(string inNamespace, string use) => Assert.Contains(use, TypeUses.Of(typeof(Machine).Assembly, inNamespace));

    /// <summary>Whether a third party could use it: a public type, and of that a public or protected member by this name.</summary>
    private static bool IsPublic(Assembly assembly, string use)
    {
        string[] parts = use.Split("::");
        Type? type = assembly.GetType(parts[0]);
        if (type is not { IsVisible: true })
            return false;
        return parts.Length == 1 || Hierarchy(type).SelectMany(t => t.GetMember(parts[1], Everything)).Any(member => member switch
        {
            MethodBase method => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly,
            FieldInfo field => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly,
            _ => false,
        });

        static IEnumerable<Type> Hierarchy(Type? type)
        {
            for (; type is not null; type = type.BaseType)
                yield return type;
        }
    }
}
