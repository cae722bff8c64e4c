using System.Text.RegularExpressions;
using VirtKit.Execution;
using VirtKit.RiscV;

namespace VirtKit.Tests.RiscV;

public sealed partial class InstructionSetTests
{
    // What is always there, and so is not spelled out after the base of an ISA string.
    private static readonly string[] Base = ["I", "M", "A", "F", "D", "Zicsr", "Zifencei", "Sm", "S"];

    private static IReadOnlyList<InstructionSet.Row> Rows => new InstructionSet(RiscVArchitecture.FullIsa).Rows;

    [Fact]
    public void Rows_Each_NameTheirSectionAndTheirExtension()
    {
        HashSet<string> extensions = [.. Base, .. new InstructionSet(RiscVArchitecture.FullIsa).Extensions.Select(name => char.ToUpperInvariant(name[0]) + name[1..])];
        Assert.All(Rows, row =>
        {
            Assert.Matches(Section(), row.Section);
            Assert.Contains(row.Extension, extensions);
        });
    }

    [Theory]
    [InlineData("addi", "I", "RV-Unpriv §2.4.1")]
    [InlineData("ebreak", "I", "RV-Unpriv §2.8")]
    [InlineData("addw", "I", "RV-Unpriv §4.2.2")]
    [InlineData("rem", "M", "RV-Unpriv §13.2")]
    [InlineData("sc.d", "A", "RV-Unpriv §14.2")]
    [InlineData("fmin.s", "F", "RV-Unpriv §20.6")]
    [InlineData("fcvt.s.d", "D", "RV-Unpriv §21.5")]
    [InlineData("cpop", "Zbb", "RV-Unpriv §28.4.2.3")]
    [InlineData("cbo.zero", "Zicboz", "RV-Unpriv §19.6.2")]
    [InlineData("sfence.vma", "S", "RV-Priv §12.2.1")]
    public void Row_OfAnInstruction_IsWhereTheSpecificationHasIt(string mnemonic, string extension, string section)
    {
        InstructionSet.Row row = Assert.Single(Rows, r => r.Encoding.Mnemonic == mnemonic);
        Assert.Equal((extension, section), (row.Extension, row.Section));
    }

    /// <summary>A pair of handlers, a table of functions: what is made of rows is told apart by their definitions' types.</summary>
    [Fact]
    public void Rows_Each_HaveADefinitionOfTheirOwn() =>
        Assert.Distinct(Rows.Select(row => row.Choose(new TypeOfDefinition())));

    private sealed class TypeOfDefinition : IInstructionFunctions
    {
        public nint Of<T>(InstructionForm form) where T : struct, IInstruction => typeof(T).TypeHandle.Value;
    }

    [GeneratedRegex(@"^RV-(Unpriv|Priv) §\d+(\.\d+)*$")]
    private static partial Regex Section();
}
